//! `pg/check`, `pg/archive-status`, `pg/switch-wal` and `pg/wait-ready` against a scripted server.

mod scripted;

use lifeboat_plugin::{
    Failure,
    fake::{Fake, rows},
    postgres::{Error, Value as Sql},
    values,
};
use scripted::{cluster, outputs, run};
use serde_json::{Value, json};

fn code(result: Result<lifeboat_plugin::Outcome, Failure>) -> String {
    result.err().map_or("fine".to_owned(), |failure| failure.code().to_owned())
}

fn answering(value: Sql) -> Fake {
    let fake = cluster();
    fake.postgres.on("SELECT question", move |_| Ok(rows(&["answer"], vec![vec![value.clone()]])));
    fake
}

#[test]
fn an_assertion_is_one_value() {
    let check = |value: Sql, expect: Option<Value>, holds: bool| {
        let mut assertion = json!({ "name": "it", "sql": "SELECT question" });
        if let Some(expect) = expect.clone() {
            assertion["expect"] = expect;
        }
        let result =
            run(&answering(value.clone()), "check", &json!({ "server": "primary", "assertions": [assertion] }));
        let wanted = if holds { "fine" } else { "pg-check-failed" };
        assert_eq!(code(result), wanted, "{value:?} {expect:?}");
    };
    check(Sql::Boolean(true), None, true);
    check(Sql::Boolean(false), None, false);
    check(Sql::Null, None, false);
    check(Sql::Integer(3), Some(json!(3)), true);
    check(Sql::Integer(3), Some(json!(3.0)), true);
    check(Sql::Integer(3), Some(json!("3")), false);
    check(Sql::Text("{\"a\": 1}".to_owned()), Some(json!({"a": 1})), true);
    check(Sql::Null, Some(json!("x")), false);
}

#[test]
fn all_assertions_that_fail_are_named() {
    let fake = answering(Sql::Boolean(false));
    fake.postgres.on("SELECT two", |_| Ok(rows(&["a"], vec![values![true], values![true]])));
    let assertion = |name: &str, sql: &str| json!({ "name": name, "sql": sql });
    let assertions = [assertion("first", "SELECT question"), assertion("second", "SELECT two")];
    let failure = run(&fake, "check", &json!({ "server": "primary", "assertions": assertions })).expect_err("both");
    insta::assert_snapshot!(failure.reason().message);
}

#[test]
fn exactly_one_server_is_asked() {
    let parameters = json!({ "server": "primary", "instance": "lb-1", "assertions": [] });
    assert_eq!(code(run(&cluster(), "check", &parameters)), "pg-which-server");
    assert_eq!(code(run(&cluster(), "check", &json!({ "assertions": [] }))), "pg-which-server");
}

/// A server that archives, or does not.
fn archiving(mode: &'static str, done: &'static str, failing: bool) -> Fake {
    let fake = cluster();
    fake.postgres.on("current_setting($1::text, true)", move |_| Ok(rows(&["value"], vec![values![mode]])));
    fake.postgres
        .on("pg_switch_wal", |_| Ok(rows(&["lsn", "segment"], vec![values!["0/3000060", "000000010000000000000003"]])));
    fake.postgres.on("name = $1::text", |_| Ok(rows(&["size"], vec![values![16_777_216_i64]])));
    fake.postgres.on("archived_count::bigint", move |_| {
        let columns = [
            "archived_count",
            "failed_count",
            "last_archived",
            "last_failed",
            "last_archived_time",
            "age_seconds",
            "failing",
        ];
        let time = "2026-11-21T03:00:00.000000Z";
        Ok(rows(&columns, vec![values![5_i64, 1_i64, done, "x", time, 61.0, failing]]))
    });
    fake.postgres.on("AS failing FROM pg_stat_archiver", move |_| {
        Ok(rows(&["done", "failed", "failing"], vec![values![done, "x", failing]]))
    });
    fake
}

#[test]
fn an_archive_is_judged() {
    let check = |fake: &Fake, max_age: &str, expect: &str| {
        let parameters = json!({ "server": "primary", "max_age": max_age });
        assert_eq!(code(run(fake, "archive-status", &parameters)), expect);
    };
    check(&archiving("on", "000000010000000000000003", false), "5m", "fine");
    check(&archiving("on", "000000010000000000000003", false), "1m", "pg-archive-late");
    check(&archiving("on", "000000010000000000000003", true), "5m", "pg-archiver-failing");
    check(&archiving("off", "", false), "5m", "pg-not-archiving");
    check(&archiving("on", "", false), "soon", "pg-duration");
}

#[test]
fn a_switch_waits_for_its_segment() {
    let parameters = json!({ "server": "primary" });
    let done = run(&archiving("on", "000000010000000000000003", false), "switch-wal", &parameters).expect("archived");
    assert_eq!(outputs(&done)["archived"], true);
    let late = archiving("on", "000000010000000000000002", false);
    late.runtime.cancel_after_ms(1_000);
    assert_eq!(code(run(&late, "switch-wal", &parameters)), "pg-not-archived");
    let failing = archiving("on", "000000010000000000000002", true);
    assert_eq!(code(run(&failing, "switch-wal", &parameters)), "pg-archiver-failing");
    assert_eq!(code(run(&archiving("off", "", false), "switch-wal", &parameters)), "pg-not-archiving");
}

#[test]
fn a_server_that_stays_away_is_waited_for_and_no_longer() {
    let fake = cluster();
    let away = lifeboat_plugin::Reason::new("pg-connection", "refused");
    fake.postgres.refuse("primary", Error::Connection(away));
    let failure = run(&fake, "wait-ready", &json!({ "server": "primary", "timeout": "3s" })).expect_err("away");
    assert!(matches!(failure, Failure::Transient(_)), "{failure:?}");
    assert_eq!(failure.reason().message, "not ready after 3s: refused");
    let there = cluster();
    there.postgres.on("server_version", |_| Ok(rows(&["version", "in_recovery"], vec![values!["15.14", false]])));
    let outcome = run(&there, "wait-ready", &json!({ "server": "primary" })).expect("there");
    assert_eq!(outcome.summary, "PostgreSQL 15.14 answers");
}
