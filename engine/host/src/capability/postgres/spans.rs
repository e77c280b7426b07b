//! What operators debug with: which statement is running. Its text and its parameters can contain secrets.

use tracing::Span;

/// The words that a statement can begin with, as they are shown.
const KEYWORDS: [&str; 24] = [
    "ALTER", "ANALYZE", "BEGIN", "CALL", "COMMIT", "COPY", "CREATE", "DELETE", "DO", "DROP", "EXPLAIN", "INSERT",
    "LOCK", "MERGE", "RESET", "ROLLBACK", "SELECT", "SET", "SHOW", "TABLE", "TRUNCATE", "UPDATE", "VALUES", "WITH",
];

/// A statement for the server that plays a role. Of its text only the first word is told, where it is one of SQL's, and the length.
pub(super) fn statement(role: &str, sql: &str) -> Span {
    tracing::debug_span!("statement", role, keyword = keyword(sql), bytes = sql.len())
}

/// One of [`KEYWORDS`], or `other`: nothing that the statement is about.
fn keyword(sql: &str) -> &'static str {
    let first = sql.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    KEYWORDS.into_iter().find(|keyword| keyword.eq_ignore_ascii_case(first)).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_statement_is_told_but_its_first_word() {
        let check = |sql: &str, expect: &str| assert_eq!(keyword(sql), expect, "{sql}");
        check("SELECT 'planted'", "SELECT");
        check("update account set password = 'planted'", "UPDATE");
        check("COPY (SELECT 1) TO STDOUT", "COPY");
        check("planted", "other");
        check("-- planted\nSELECT 1", "other");
        check("'planted'", "other");
        check("selectplanted", "other");
        check("", "other");
    }
}
