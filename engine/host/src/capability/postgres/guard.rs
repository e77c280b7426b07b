//! What a guest may say to a server. The read-only transaction is the wall; this keeps out what such a transaction lets
//! through: functions with effects outside of it, and statements that would end it.

use lifeboat_core::failure::Reason;

use super::lexer::{self, Token};

/// Statements that read.
const READING: &[&str] = &["select", "with", "values", "table", "show", "explain"];
/// Transactions are the connection's methods; `copy` reaches files and programs of the server.
const NEVER: &[&str] = &[
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint",
    "release",
    "prepare",
    "copy",
    "discard",
    "load",
];
/// Functions that change something in spite of a read-only transaction, or that run SQL given as text.
const EFFECTS: &[&str] = &[
    "pg_switch_wal",
    "pg_terminate_backend",
    "pg_cancel_backend",
    "pg_promote",
    "pg_reload_conf",
    "pg_rotate_logfile",
    "pg_wal_replay_pause",
    "pg_wal_replay_resume",
    "pg_backup_start",
    "pg_backup_stop",
    "pg_start_backup",
    "pg_stop_backup",
    "pg_drop_replication_slot",
    "pg_replication_slot_advance",
    "pg_copy_logical_replication_slot",
    "pg_copy_physical_replication_slot",
    "pg_sync_replication_slots",
    "pg_read_file",
    "pg_read_binary_file",
    "pg_stat_file",
    "pg_ls_dir",
    "pg_notify",
    "pg_log_backend_memory_contexts",
    "set_config",
    "ts_stat",
    "ts_rewrite",
    "crosstab",
    "connectby",
    "setval",
    "nextval",
];
/// Families of such functions.
const EFFECT_FAMILIES: &[&str] = &[
    "lo_",
    "dblink",
    "pg_create_",
    "pg_logical_",
    "pg_replication_origin_",
    "pg_stat_reset",
    "pg_stat_clear",
    "pg_advisory_",
    "pg_try_advisory_",
    "pg_file_",
    "query_to_xml",
    "cursor_to_xml",
    "postgres_fdw_",
];

/// Of these families, what only reads: a view of the configuration files.
const HARMLESS: &[&str] = &["pg_file_settings"];

/// Whether the statement may run with a read grant; the reason says why not.
pub(super) fn reading(sql: &str) -> Result<(), Reason> {
    let tokens = tokens(sql)?;
    let first = first_word(&tokens);
    if !READING.contains(&first) {
        let first = first.to_uppercase();
        return Err(refused(format!(
            "`{first}` is not allowed; only SELECT, WITH, VALUES, TABLE, SHOW and EXPLAIN may read"
        )));
    }
    match tokens.iter().find_map(effect) {
        Some(name) => Err(refused(format!("`{name}` has effects that a read-only transaction does not prevent"))),
        None => Ok(()),
    }
}

/// Whether the statement may run with a grant to change.
pub(super) fn changing(sql: &str) -> Result<(), Reason> {
    let tokens = tokens(sql)?;
    let first = first_word(&tokens);
    if NEVER.contains(&first) {
        let first = first.to_uppercase();
        return Err(refused(format!(
            "`{first}` is not allowed in a statement; use the connection's begin, commit, rollback or copy-between"
        )));
    }
    Ok(())
}

/// Whether the text can stand between the brackets of `COPY (…)`: it must not close them.
pub(super) fn enclosed(sql: &str) -> Result<(), Reason> {
    let mut depth = 0_i32;
    for token in tokens(sql)? {
        match token {
            Token::Symbol('(') => depth += 1,
            Token::Symbol(')') => depth -= 1,
            Token::Symbol(';') => {
                return Err(refused("a query for a copy must be one statement without `;`".to_owned()));
            }
            _ => {}
        }
        if depth < 0 {
            break;
        }
    }
    if depth == 0 { Ok(()) } else { Err(refused("the brackets of a query for a copy do not match".to_owned())) }
}

fn tokens(sql: &str) -> Result<Vec<Token>, Reason> {
    lexer::tokens(sql).map_err(|error| refused(error.to_string()))
}

fn first_word(tokens: &[Token]) -> &str {
    match tokens.iter().find(|token| !matches!(token, Token::Symbol('('))) {
        Some(Token::Word(word)) => word,
        _ => "",
    }
}

fn effect(token: &Token) -> Option<&str> {
    let (Token::Word(name) | Token::Quoted(name)) = token else { return None };
    let known = EFFECTS.contains(&name.as_str()) || EFFECT_FAMILIES.iter().any(|family| name.starts_with(family));
    (known && !HARMLESS.contains(&name.as_str())).then_some(name)
}

fn refused(message: String) -> Reason {
    Reason::new("host-refused-statement", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(guard: impl Fn(&str) -> Result<(), Reason>, cases: &[(&str, bool)]) {
        for (sql, expect) in cases {
            assert_eq!(guard(sql).is_ok(), *expect, "{sql}: {:?}", guard(sql));
        }
    }

    #[test]
    fn a_read_grant_lets_only_reading_through() {
        check(
            reading,
            &[
                ("SELECT 1", true),
                ("SELECT setting FROM pg_file_settings", true),
                ("SELECT pg_file_unlink('x')", false),
                ("  -- a comment\n /* and /* nested */ one */ select 1", true),
                ("(select 1) union (select 2)", true),
                ("with t as (select 1) select * from t", true),
                ("SHOW server_version", true),
                ("select pg_is_in_recovery(), pg_is_wal_replay_paused()", true),
                ("select 'pg_switch_wal()', $$pg_promote$$, $x$ lo_unlink $x$, E'it\\'s dblink'", true),
                ("select $1::text -- pg_promote()", true),
                ("", false),
                ("insert into t values (1)", false),
                ("set role postgres", false),
                ("select pg_switch_wal()", false),
                ("select PG_SWITCH_WAL()", false),
                ("select \"pg_switch_wal\"()", false),
                ("select pg_catalog.pg_promote ()", false),
                ("select U&\"\\0070g_promote\"()", false),
                ("select 'a''b', lo_unlink(1)", false),
                ("select E'\\'', lo_unlink(1), E'\\''", false),
                ("select $$a$$, set_config('x', 'y', false), $$b$$", false),
                ("select query_to_xml('select pg_promote()', true, true, '')", false),
                ("select 'open", false),
                ("/* open", false),
                ("commit", false),
            ],
        );
    }

    #[test]
    fn transactions_and_server_files_are_not_for_statements() {
        check(
            changing,
            &[
                ("insert into t values (1)", true),
                ("select pg_switch_wal()", true),
                ("COMMIT", false),
                ("/* */ rollback", false),
                ("savepoint a", false),
                ("prepare transaction 'a'", false),
                ("copy t from program 'id'", false),
            ],
        );
    }

    #[test]
    fn a_query_cannot_leave_the_brackets_of_its_copy() {
        check(
            enclosed,
            &[
                ("select (1), ')' from t where a = any('{1}')", true),
                ("select 1) to program 'id' --", false),
                ("select 1) to program 'id' where (1=1", false),
                ("select 1; select 2", false),
                ("select 1 -- comment", true),
                ("select 1 /* open", false),
                ("select (1", false),
            ],
        );
    }
}
