//! What a person reads where a server refuses a statement: what was being done, what that means, and what to do, before
//! PostgreSQL's own text.

use lifeboat_plugin::Failure;

/// Says what `doing` the server refused; `after` says how things stand then.
pub fn explained(failure: Failure, doing: &str, after: &str) -> Failure {
    let Failure::Permanent(reason) = &failure else { return failure };
    if reason.code != "pg-sql" {
        return failure;
    }
    let said = &reason.message;
    if said.contains("SQLSTATE 42501") {
        let message = format!(
            "the login lacks a right for {doing}, on the server or in the copy, where rights are those of the moment \
             to which it was restored ({said}); {after}: grant what is missing and retry this step, or bind a login \
             that had the right before the damage and start a new run"
        );
        return Failure::permanent("pg-privileges", message);
    }
    let message = format!(
        "PostgreSQL refused a statement while {doing} ({said}); {after}: fix what the message names, and retry this \
         step"
    );
    Failure::permanent("pg-sql", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgresql_says_is_never_all() {
        let check = |failure: Failure, code: &str, text: &str| {
            let explained = explained(failure, "comparing rows", "nothing was changed");
            assert_eq!(explained.code(), code);
            assert!(explained.reason().message.contains(text), "{explained:?}");
        };
        let denied = "permission denied for table t (SQLSTATE 42501)";
        check(Failure::permanent("pg-sql", denied), "pg-privileges", "lacks a right for comparing rows");
        check(Failure::permanent("pg-sql", "x (SQLSTATE 0A000)"), "pg-sql", "nothing was changed");
        check(Failure::permanent("pg-no-table", "gone"), "pg-no-table", "gone");
        check(Failure::transient("pg-sql", "deadlock"), "pg-sql", "deadlock");
    }
}
