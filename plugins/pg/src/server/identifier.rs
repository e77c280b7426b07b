//! SQL identifiers and literals. Everything that is put into a statement's text goes through here.

use serde::{Deserialize, Serialize};

/// A table by schema and name, as the catalog spells them (not quoted).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

impl TableName {
    /// For a statement: always quoted.
    pub fn sql(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }

    /// For people: quoted only where that is needed to read it back.
    pub fn plain(&self) -> String {
        format!("{}.{}", plain(&self.schema), plain(&self.name))
    }
}

fn plain(name: &str) -> String {
    let simple = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || each == '_');
    if simple { name.to_owned() } else { quote_identifier(name) }
}

/// The identifier in double quotes.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Identifiers, quoted and separated by commas.
pub fn quote_identifiers<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| quote_identifier(name)).collect::<Vec<_>>().join(", ")
}

/// The text as a literal; safe whatever `standard_conforming_strings` says.
pub fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// The value of a setting for a configuration file.
pub fn quote_setting(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_shown_the_way_they_are_written() {
        let check = |schema: &str, name: &str, sql: &str, plain: &str| {
            let table = TableName { schema: schema.to_owned(), name: name.to_owned() };
            assert_eq!((table.sql().as_str(), table.plain().as_str()), (sql, plain));
        };
        check("public", "customers", r#""public"."customers""#, "public.customers");
        check("Sales", "a\"b", r#""Sales"."a""b""#, r#""Sales"."a""b""#);
        check("_x", "1st", r#""_x"."1st""#, r#"_x."1st""#);
    }

    #[test]
    fn literals_cannot_be_left() {
        let check = |text: &str, expect: &str| assert_eq!(quote_literal(text), expect);
        check("plain", "'plain'");
        check("it's", "'it''s'");
        check("\\'; drop table x; --", "E'\\\\''; drop table x; --'");
    }

    /// Reads a quoted identifier the way the server's scanner does.
    fn scan(quoted: &str) -> Option<String> {
        let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
        let unpaired = inner.replace("\"\"", "").contains('"');
        (!unpaired).then(|| inner.replace("\"\"", "\""))
    }

    proptest! {
        #[test]
        fn an_identifier_survives_quoting(name in "\\PC{0,20}") {
            prop_assert_eq!(scan(&quote_identifier(&name)), Some(name));
        }

        #[test]
        fn a_literal_has_no_unpaired_quote(text in "['\\\\a]{0,20}") {
            let literal = quote_literal(&text);
            let inner = literal.trim_start_matches('E');
            let inner = &inner[1..inner.len() - 1];
            prop_assert!(!inner.replace("''", "").contains('\''));
            if text.contains('\\') {
                prop_assert!(!inner.replace("\\\\", "").contains('\\'));
            }
        }
    }
}
