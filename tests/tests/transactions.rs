//! Transactions of odd shapes that removed rows of a real server: DR-003 mends them whole, or refuses with a code.

use std::{
    fs,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::stand::{Stand, connect, files_below};
use tokio_postgres::Client;

const NOW: &str = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";

fn ends_well(mut command: Command) -> Result<Output> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(output)
}

fn is_refused(mut command: Command, code: &str) -> Result<()> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1) && text.contains(code), "{}, expected {code}:\n{text}", output.status);
    Ok(())
}

async fn superuser(stand: &Stand) -> Result<Client> {
    let mut config = stand.testbed.observer();
    config.dbname("app");
    connect(&config).await
}

/// Writes a moment of which the WAL says what ran, and goes on in the next segment, once the last one is archived.
async fn next_segment(stand: &Stand, server: &Client) -> Result<()> {
    server.batch_execute("CHECKPOINT").await?;
    let name = stand.value(server, "SELECT pg_walfile_name(pg_switch_wal() - 1)").await?;
    for _ in 0..600 {
        if stand.testbed.archive_folder().join(&name).exists() {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    anyhow::bail!("segment {name} was not archived")
}

/// The transaction begins, and others write three segments; then `since`; then it goes on and commits.
async fn long_transaction(mut stand: Stand) -> Result<(Stand, Vec<String>)> {
    let before = stand.content().await?;
    let (server, application) = (superuser(&stand).await?, stand.application().await?);
    application.batch_execute("BEGIN; DELETE FROM customers WHERE id <= 60").await?;
    for round in 0..3 {
        server.batch_execute(&format!("UPDATE customers SET name = name WHERE id = {}", 150 + round)).await?;
        next_segment(&stand, &server).await?;
    }
    stand.not_before = stand.value(&server, NOW).await?;
    next_segment(&stand, &server).await?;
    server.batch_execute("DELETE FROM customers WHERE id = 199").await?;
    application.batch_execute("DELETE FROM customers WHERE id BETWEEN 61 AND 80; COMMIT").await?;
    let theirs = |row: &String| {
        // Customer 199 has the orders 1981 to 1990.
        let order =
            |prefix: &str| row.strip_prefix(prefix).and_then(|rest| rest.split(',').next()?.parse::<u32>().ok());
        let of_199 = |number: u32| (1981..=1990).contains(&number);
        row.starts_with("customers (199,") || order("orders (").or_else(|| order("items (")).is_some_and(of_199)
    };
    Ok((stand, before.into_iter().filter(|row| !theirs(row)).collect()))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_began_long_before_it_committed_comes_back_whole() -> Result<()> {
    let (stand, expected) = long_transaction(Stand::loaded(200).await?).await?;
    ends_well(stand.run())?;
    ensure!(stand.content().await? == expected, "not every row is back, or too many");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_began_before_the_archive_is_refused_until_its_beginning_is_there() -> Result<()> {
    let (stand, expected) = long_transaction(Stand::loaded(200).await?).await?;
    let mut segments = files_below(&stand.testbed.archive_folder());
    segments.retain(|file| file.file_name().is_some_and(|name| name.len() == 24));
    segments.sort();
    // All but the last three: the ones before `since` that hold the beginning.
    let moved: Vec<_> =
        segments[..segments.len() - 2].iter().map(|file| (file, file.with_extension("aside"))).collect();
    for (file, aside) in &moved {
        fs::rename(file, aside)?;
    }
    is_refused(stand.run(), "pg-wal-begins-too-late")?;
    for (file, aside) in &moved {
        fs::rename(aside, file)?;
    }
    ends_well(stand.run())?;
    ensure!(stand.content().await? == expected, "not every row is back, or too many");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_locked_its_tables_against_reading_comes_back() -> Result<()> {
    let stand = Stand::loaded(200).await?;
    let before = stand.content().await?;
    let sql = "BEGIN; ALTER TABLE customers ADD COLUMN vip boolean; DELETE FROM customers WHERE id <= 50; COMMIT; \
               ALTER TABLE customers DROP COLUMN vip";
    stand.application().await?.batch_execute(sql).await?;
    ends_well(stand.run())?;
    ensure!(stand.content().await? == before, "not every row is back");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_prepared_comes_back() -> Result<()> {
    let stand = Stand::loaded(200).await?;
    superuser(&stand).await?.batch_execute("ALTER SYSTEM SET max_prepared_transactions = 5").await?;
    stand.testbed.stop_primary().await?;
    stand.testbed.start_primary().await?;
    let before = stand.content().await?;
    let server = superuser(&stand).await?;
    server.batch_execute("BEGIN; DELETE FROM customers WHERE id <= 50; PREPARE TRANSACTION 'p'").await?;
    server.batch_execute("DELETE FROM customers WHERE id = 199").await?;
    server.batch_execute("COMMIT PREPARED 'p'").await?;
    ends_well(stand.run())?;
    let left = stand.content().await?;
    ensure!(
        left.iter().all(|row| !row.starts_with("customers (199,")) && left.len() + 31 == before.len(),
        "{}",
        left.len()
    );
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_fifteen_thousand_subtransactions_comes_back() -> Result<()> {
    let stand = Stand::loaded(20).await?;
    let application = stand.application().await?;
    let sql = "CREATE TABLE many (id int PRIMARY KEY);
               INSERT INTO many SELECT generate_series(1, 16000);";
    application.batch_execute(sql).await?;
    // Each removal in a block that could fail is a subtransaction.
    let sql = "DO $$ BEGIN FOR n IN 1..15000 LOOP BEGIN DELETE FROM many WHERE id = n; EXCEPTION WHEN others THEN NULL; \
               END; END LOOP; END $$";
    application.batch_execute(sql).await?;
    ends_well(run_for(&stand, "public.many"))?;
    let back = stand.value(&application, "SELECT count(*)::text || ' ' || sum(id) FROM many").await?;
    ensure!(back == "16000 128008000", "found {back}");
    stand.stop().await
}

/// DR-003 for another table than the customers.
fn run_for(stand: &Stand, table: &str) -> Command {
    let mut run = stand.lifeboat(&["run", "workflows/dr-003-accidental-deletion.yaml", "--approve", "sign_off"]);
    run.arg("--bindings").arg(&stand.bindings).args(["--input", &format!("damaged_table={table}")]);
    run.arg("--input").arg(format!("not_before={}", stand.not_before));
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_moved_rows_between_partitions_first_comes_back_unless_a_trigger_blurs_it() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let application = stand.application().await?;
    let sql = "CREATE TABLE readings (id int, year int, PRIMARY KEY (id, year)) PARTITION BY LIST (year);
               CREATE TABLE readings_1 PARTITION OF readings FOR VALUES IN (1);
               CREATE TABLE readings_2 PARTITION OF readings FOR VALUES IN (2);
               INSERT INTO readings SELECT n, 1 + n % 2 FROM generate_series(1, 100) n;";
    application.batch_execute(sql).await?;
    let damage = "BEGIN; UPDATE readings SET year = 2 WHERE id <= 60; DELETE FROM readings WHERE year = 2; COMMIT";
    application.batch_execute(damage).await?;
    ends_well(run_for(&stand, "public.readings"))?;
    let sum = "SELECT count(*)::text || ' ' || count(*) FILTER (WHERE year = 1 + id % 2) FROM readings";
    let back = stand.value(&application, sum).await?;
    ensure!(back == "100 100", "found {back}");
    let trigger = "CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
                   CREATE TRIGGER pass BEFORE INSERT ON readings FOR EACH ROW EXECUTE FUNCTION pass();";
    application.batch_execute(trigger).await?;
    let not_before = stand.value(&application, NOW).await?;
    application.batch_execute(damage).await?;
    let stand = Stand { not_before, ..stand };
    is_refused(run_for(&stand, "public.readings"), "pg-moved-rows")?;
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_gave_a_table_a_new_file_first_is_refused() -> Result<()> {
    let stand = Stand::loaded(20).await?;
    let sql = "BEGIN; CLUSTER orders USING orders_pkey; DELETE FROM customers WHERE id <= 5; COMMIT";
    stand.application().await?.batch_execute(sql).await?;
    is_refused(stand.run(), "pg-table-rewritten")?;
    stand.stop().await
}

/// Restores to just before a transaction, promoted or not.
const RESTORE: &str = r#"lifeboat: 1
id: RESTORE-001
name: Restore a copy to just before a transaction
inputs:
  xid: { type: int, description: "The transaction" }
  promote: { type: bool, description: "Promote it" }
targets:
  primary: { kind: postgres, access: write, description: "The server" }
  recovery: { kind: machine, access: destroy, description: "Where the copy is made" }
steps:
  - id: archive
    uses: pg/switch-wal
    with: { server: primary, machine: recovery }
  - id: restore
    uses: pg/restore
    with:
      machine: recovery
      server: primary
      target: { before_xid: "${{ inputs.xid }}" }
      promote: "${{ inputs.promote }}"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_a_truncated_table_are_in_a_promoted_copy() -> Result<()> {
    let stand = Stand::loaded(20).await?;
    let application = stand.application().await?;
    application.batch_execute("BEGIN; TRUNCATE items").await?;
    let xid = stand.value(&application, "SELECT pg_current_xact_id()::text").await?;
    application.batch_execute("COMMIT").await?;
    let path = stand.home.path().join("restore.yaml");
    fs::write(&path, RESTORE)?;
    let copies = [("false", Err("55P03")), ("true", Ok("400"))];
    for (promote, expected) in copies {
        let known = stand.instances();
        let mut run = stand.lifeboat(&["run"]);
        run.arg(&path).arg("--bindings").arg(&stand.bindings).args(["--input", &format!("xid={xid}")]);
        ends_well({
            run.args(["--input", &format!("promote={promote}")]);
            run
        })?;
        let name = stand.instances().into_iter().find(|name| !known.contains(name)).context("a copy")?;
        let found = count_items(&stand, &name).await?;
        ensure!(found.as_deref().map_err(String::as_str) == expected, "promote: {promote}: {found:?}");
    }
    stand.stop().await
}

/// Rows of `items` in a copy, or the SQLSTATE with which it refuses to wait for the lock.
async fn count_items(stand: &Stand, name: &str) -> Result<Result<String, String>> {
    let copy = connect(&stand.copy_of(name)?).await?;
    copy.batch_execute("SET lock_timeout = '200ms'").await?;
    Ok(match copy.query_one("SELECT count(*)::text FROM items", &[]).await {
        Ok(row) => Ok(row.get(0)),
        Err(error) => Err(error.code().map(|code| code.code().to_owned()).context("an SQLSTATE")?),
    })
}
