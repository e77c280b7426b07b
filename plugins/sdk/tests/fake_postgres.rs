//! Scripted servers, the clock, and endpoints.

use lifeboat_plugin::{
    Connection as _, Effect, Endpoint as _, Postgres as _, Reason, Runtime as _,
    fake::{Answer, Fake, rows},
    postgres::{Error, Isolation},
    values,
};

fn sql(fake: &Fake) -> Vec<String> {
    fake.postgres.statements().into_iter().map(|it| format!("{}: {}", it.server, it.sql)).collect()
}

#[test]
fn the_first_rule_that_fits_answers_and_everything_is_recorded() {
    let fake = Fake::default();
    fake.postgres.on("FROM customers WHERE id", |call| Ok(rows(&["id"], vec![call.parameters.clone()])));
    fake.postgres.on("FROM customers", |_| Ok(rows(&["id"], vec![])));
    let server = fake.open("primary").unwrap();
    let found = server.query("SELECT id\n  FROM customers\n  WHERE id = $1", &values![7_i64]).unwrap();
    assert_eq!(found.one().unwrap().get::<i64>("id").unwrap(), 7);
    assert!(server.query("SELECT id FROM customers", &[]).unwrap().is_empty());
    let unknown = server.query("SELECT 1", &[]).unwrap_err();
    assert!(matches!(&unknown, Error::Invalid(reason) if reason.message.contains("SELECT 1")), "{unknown:?}");
    assert_eq!(sql(&fake)[0], "primary: SELECT id FROM customers WHERE id = $1");
}

#[test]
fn a_transaction_that_is_dropped_is_rolled_back() {
    let fake = Fake::default();
    fake.postgres.on("COPY", |_| Ok(Answer::Count(3)));
    let source = fake.open_instance("recovery", 54_330, "primary", None).unwrap();
    let server = fake.open("primary").unwrap();
    server.begin(Isolation::ReadCommitted).unwrap();
    assert_eq!(fake.copy_between(&source, "SELECT a FROM t", &server, "s", &["a".to_owned()]).unwrap(), 3);
    assert!(server.begin(Isolation::ReadCommitted).is_err());
    server.commit().unwrap();
    assert!(server.commit().is_err(), "there is nothing to commit any more");
    server.begin(Isolation::Serializable).unwrap();
    drop(server);
    let expected = [
        "primary: BEGIN",
        "primary: COPY (SELECT a FROM t) TO s (a)",
        "primary: COMMIT",
        "primary: BEGIN",
        "primary: ROLLBACK",
    ];
    assert_eq!(sql(&fake), expected);
}

#[test]
fn a_commit_can_be_made_to_fail() {
    let fake = Fake::default();
    fake.postgres.on("COMMIT", |_| Err(Error::Connection(Reason::new("pg-connection", "reset"))));
    let server = fake.open("primary").unwrap();
    server.begin(Isolation::ReadCommitted).unwrap();
    assert!(matches!(server.commit(), Err(Error::Connection(_))));
}

#[test]
fn a_read_grant_lets_nothing_be_changed() {
    let fake = Fake::default();
    fake.postgres.on("", |_| Ok(rows(&["n"], vec![values![1_i64]])));
    fake.grant(Effect::Read);
    let server = fake.open("primary").unwrap();
    assert!(server.query("select 1", &[]).is_ok());
    assert!(matches!(server.query("SELECT_NOTHING", &[]), Err(Error::Denied(_))));
    assert!(matches!(server.query("INSERT INTO t DEFAULT VALUES RETURNING n", &[]), Err(Error::Denied(_))));
    assert!(matches!(server.execute("SELECT 1", &[]), Err(Error::Denied(_))));
    assert!(matches!(fake.copy_between(&server, "SELECT 1", &server, "t", &[]), Err(Error::Denied(_))));
    assert_eq!(fake.postgres.statements().len(), 1);
}

#[test]
fn a_server_can_be_down() {
    let fake = Fake::default();
    fake.postgres.refuse("primary", Error::Connection(Reason::new("pg-connection", "refused")));
    assert!(matches!(fake.open("primary"), Err(Error::Connection(_))));
    assert!(fake.open("standby").is_ok());
}

#[test]
fn the_clock_moves_when_the_plugin_sleeps_and_stops_it_at_the_end() {
    let fake = Fake::default();
    let start = fake.now_ms();
    fake.runtime.cancel_after_ms(1_000);
    assert!(fake.sleep_ms(999));
    assert!(!fake.cancelled());
    assert!(!fake.sleep_ms(500), "the call ends during the wait");
    assert!(fake.cancelled());
    assert_eq!(fake.now_ms() - start, 1_000);
    assert!(!fake.sleep_ms(1));
}

#[test]
fn an_endpoint_points_where_it_was_switched_to() {
    let fake = Fake::default();
    fake.endpoint.add("app", "10.0.0.1:5432");
    fake.switch("app", "10.0.0.2:5432").unwrap();
    assert_eq!(fake.current("app").unwrap(), "10.0.0.2:5432");
    assert!(fake.current("other").is_err());
    fake.grant(Effect::Read);
    assert!(fake.switch("app", "10.0.0.3:5432").is_err());
}
