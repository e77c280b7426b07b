//! The monthly backup verification against real servers: it restores both ends of what is kept, finds what is broken, and leaves
//! nothing behind.

use std::fs;

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    killing::{killed_at_random, seeds},
    stand::{Stand, connect},
};

const RUNBOOK: &str = "workflows/backup-verification.yaml";

/// How a run ended: its exit code, its outcome, and what it said.
struct Ended {
    code: Option<i32>,
    outcome: String,
    said: String,
}

fn verify(stand: &Stand, inputs: &[&str]) -> Result<Ended> {
    let mut command = stand.lifeboat(&["run", RUNBOOK, "--bindings"]);
    command.arg(&stand.bindings);
    for input in inputs {
        command.args(["--input", input]);
    }
    let run = command.output()?;
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    let status = stand.lifeboat(&["status", "last", "--json"]).output()?;
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).with_context(|| said.clone())?;
    let outcome = status["outcome"].as_str().with_context(|| format!("no outcome in {status:#}\n{said}"))?;
    Ok(Ended { code: run.status.code(), outcome: outcome.to_owned(), said })
}

/// The titles of what people were told.
fn told(stand: &Stand) -> Vec<String> {
    let title = |body: &serde_json::Value| body["title"].as_str().map(str::to_owned);
    stand.testbed.notifications().iter().filter_map(|sent| title(&sent.body)).collect()
}

/// Seals the newest backup.
fn seal(stand: &Stand) -> Result<()> {
    let run = stand.lifeboat(&["run", "workflows/backup-seal.yaml", "--bindings"]).arg(&stand.bindings).output()?;
    ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Ok(())
}

/// Two backups of a server on which was written in between and afterwards.
async fn kept() -> Result<Stand> {
    let stand = Stand::loaded(200).await?;
    let application = stand.application().await?;
    application
        .batch_execute("INSERT INTO customers (name) SELECT 'later ' || n FROM generate_series(1, 50) n")
        .await?;
    stand.testbed.base_backup("later").await?;
    seal(&stand)?;
    application.batch_execute("INSERT INTO customers (name) SELECT 'last ' || n FROM generate_series(1, 50) n").await?;
    Ok(stand)
}

/// What a second database holds beside a plain table: things that are no data of a copy, and an index that would run a function of
/// a user, which fails where it is called by the engine.
const SECOND: &str = "
    CREATE TABLE \"Odd name\" (lifeboat_row int, note text);
    INSERT INTO \"Odd name\" SELECT n, repeat('long ', 5000) FROM generate_series(1, 20) n;
    CREATE INDEX odd_note ON \"Odd name\" (lifeboat_row);
    CREATE FUNCTION loud(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$BEGIN
        IF current_setting('application_name') LIKE 'lifeboat/%' THEN RAISE EXCEPTION 'the function of a user ran'; END IF;
        RETURN lower($1); END$$;
    CREATE INDEX odd_loud ON \"Odd name\" (loud(left(note, 10)));
    CREATE INDEX odd_words ON \"Odd name\" USING gin (to_tsvector('simple', left(note, 10)));
    CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY);
    CREATE VIEW seen AS SELECT loud(note) FROM \"Odd name\";
    CREATE FOREIGN DATA WRAPPER nothing;
    CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
    CREATE FOREIGN TABLE away (id int) SERVER elsewhere;
    SELECT lo_from_bytea(0, '\\x0102');
";

/// Backups of a server with a second database.
async fn kept_with_second() -> Result<Stand> {
    let stand = Stand::loaded(200).await?;
    connect(&stand.testbed.observer()).await?.batch_execute("CREATE DATABASE second").await?;
    second(&stand).await?.batch_execute(SECOND).await?;
    stand.testbed.base_backup("later").await?;
    seal(&stand)?;
    Ok(stand)
}

async fn second(stand: &Stand) -> Result<tokio_postgres::Client> {
    let mut login = stand.testbed.observer();
    connect(login.dbname("second")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_are_restored_read_and_removed() -> Result<()> {
    let stand = kept().await?;
    let before = stand.content().await?;
    let ended = verify(&stand, &[r#"tables=["public.customers", "public.orders", "public.items"]"#])?;
    ensure!((ended.code, ended.outcome.as_str()) == (Some(0), "succeeded"), "{}\n{}", ended.outcome, ended.said);
    ensure!(told(&stand) == ["BV-001: the backups can be restored"], "{:?}", told(&stand));
    // The backup that was made by somebody who did not seal it is named: what it holds is unmeasured.
    for said in
        ["later was drawn of 1 sealed backups", "nightly has no seal", "rows of 3 tables are as they were sealed"]
    {
        ensure!(ended.said.contains(said), "{said} in {}", ended.said);
    }
    ensure!(stand.instances().is_empty(), "left: {:?}", stand.instances());
    ensure!(stand.content().await? == before, "the original was changed");
    stand.stop().await
}

/// With no table named, every table of every database is read and every index checked; what is left out is named, and nothing that
/// users wrote is run. Then each thing that is wrong makes the run fail with its code.
#[tokio::test(flavor = "multi_thread")]
async fn every_database_is_verified_and_each_fault_is_found() -> Result<()> {
    let stand = kept_with_second().await?;
    let ended = verify(&stand, &["tables=[]"])?;
    ensure!((ended.code, ended.outcome.as_str()) == (Some(0), "succeeded"), "{}\n{}", ended.outcome, ended.said);
    for told in [
        "tables of 4 databases was read; left out: second: public.away is a foreign table; second: public.scratch is unlogged",
        "second: public.odd_loud was not checked for an entry for each row",
        "second: public.odd_words is an index of the kind gin",
    ] {
        ensure!(ended.said.contains(told), "{told} in {}", ended.said);
    }

    let check = |inputs: &[&str], code: &str, named: &str| -> Result<()> {
        let ended = verify(&stand, inputs)?;
        ensure!(ended.code == Some(1), "{code}: {}\n{}", ended.outcome, ended.said);
        ensure!(ended.said.contains(code) && ended.said.contains(named), "{code} {named}: {}", ended.said);
        ensure!(stand.instances().is_empty(), "left: {:?}", stand.instances());
        Ok(())
    };
    check(&["backup_age_at_most=1ms"], "pg-backup-too-old", "later")?;
    check(&["backup_size_change_at_most=0"], "pg-backup-size", "nightly")?;
    let wrong = r#"assertions=[{"name": "nobody is called X", "sql": "SELECT 1 = 1"}, {"name": "two", "sql": "SELECT 1", "expect": 2}]"#;
    check(&[wrong], "pg-check-failed", "1 of 2 checks failed: two")?;

    // An index that lacks rows of its table, as after a library that orders texts has changed.
    let second = second(&stand).await?;
    let ready =
        |ready: bool| format!("UPDATE pg_index SET indisready = {ready} WHERE indexrelid = 'odd_note'::regclass");
    second.batch_execute(&ready(false)).await?;
    second.batch_execute("INSERT INTO \"Odd name\" VALUES (21, 'in no index')").await?;
    second.batch_execute(&ready(true)).await?;
    check(&[], "pg-amcheck-failed", "public.odd_note")?;
    second.batch_execute("REINDEX INDEX odd_note").await?;

    // A sequence whose file is gone: no index tells of that.
    second.batch_execute("CREATE SEQUENCE lost").await?;
    second.batch_execute("UPDATE pg_class SET relfilenode = 4000000 WHERE relname = 'lost'").await?;
    check(&[], "pg-read-failed", "second: public.lost")?;
    stand.stop().await
}

/// A table that was made after the oldest backup: both copies are taken back.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_missing_rolls_everything_back_and_people_are_told() -> Result<()> {
    let stand = kept().await?;
    let ended = verify(&stand, &[r#"tables=["public.customers", "public.late"]"#])?;
    ensure!((ended.code, ended.outcome.as_str()) == (Some(1), "rolled_back"), "{}\n{}", ended.outcome, ended.said);
    ensure!(ended.said.contains("pg-read-failed"), "{}", ended.said);
    ensure!(told(&stand) == ["BV-001: the backups were NOT verified"], "{:?}", told(&stand));
    ensure!(stand.instances().is_empty(), "left: {:?}", stand.instances());
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_of_the_oldest_backup_is_found() -> Result<()> {
    let stand = kept().await?;
    let file = stand.testbed.backups_folder().join("nightly/PG_VERSION");
    fs::write(&file, "16\n").with_context(|| file.display().to_string())?;
    let ended = verify(&stand, &[])?;
    ensure!((ended.code, ended.outcome.as_str()) == (Some(1), "failed"), "{}\n{}", ended.outcome, ended.said);
    ensure!(ended.said.contains("pg-backup-damaged"), "{}", ended.said);
    ensure!(told(&stand) == ["BV-001: the backups were NOT verified"], "{:?}", told(&stand));
    ensure!(stand.instances().is_empty(), "left: {:?}", stand.instances());
    stand.stop().await
}

/// An engine that is killed on its way verifies all the same, tells people that it did, and leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_killed_at_any_moment_verifies_all_the_same() -> Result<()> {
    for seed in seeds()? {
        let stand = kept().await?;
        let before = stand.content().await?;
        let mut first = stand.lifeboat(&["run", RUNBOOK, "--bindings"]);
        first.arg(&stand.bindings);
        let ended = killed_at_random(seed, 40, first, || stand.lifeboat(&["resume", "last"]))?;
        let told_of =
            format!("seed {seed}, killed after lines {:?}, {}:\n{}", ended.killed_after, ended.status, ended.said);
        ensure!(ended.status.success(), "{told_of}");
        ensure!(
            told(&stand).last().is_some_and(|it| it == "BV-001: the backups can be restored"),
            "{:?}; {told_of}",
            told(&stand)
        );
        ensure!(!told(&stand).iter().any(|it| it.contains("NOT")), "{:?}; {told_of}", told(&stand));
        ensure!(stand.instances().is_empty(), "left: {:?}; {told_of}", stand.instances());
        ensure!(stand.content().await? == before, "the original was changed; {told_of}");
        stand.stop().await?;
    }
    Ok(())
}
