//! What the server's catalog and files have against rows that should go back is told before anything is restored, all of it at once.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::stand::{Stand, connect};
use serde_json::Value;
use tokio_postgres::Client;

/// A leaf with a key of texts, in a collation of its own; beside it a foreign table.
const SCHEMA: &str = "
    CREATE COLLATION letters (provider = icu, locale = 'de-DE');
    CREATE TABLE notes (name text COLLATE letters NOT NULL, kind int NOT NULL) PARTITION BY LIST (kind);
    CREATE TABLE notes_here PARTITION OF notes (PRIMARY KEY (name)) FOR VALUES IN (1);
    CREATE FOREIGN DATA WRAPPER nothing;
    CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
    CREATE FOREIGN TABLE notes_far PARTITION OF notes FOR VALUES IN (2) SERVER nowhere;
    INSERT INTO notes_here SELECT 'note ' || n, 1 FROM generate_series(1, 20) n;
";

const PREFLIGHT: &str = "
lifeboat: 1
id: PREFLIGHT
name: Look at the catalog
targets:
  primary: { kind: postgres, access: read, description: The original }
  recovery: { kind: machine, access: read, description: Where the set lies }
steps:
  - { id: look, uses: pg/preflight, with: { server: primary, machine: recovery, set_file: FILE, set_digest: DIGEST }, timeout: 1m }
";

/// What a step of the newest run told.
fn output_of(stand: &Stand, step: &str) -> Result<Value> {
    let journal = fs::read_to_string(stand.run_folder()?.join("journal.jsonl"))?;
    let records = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut done = records.filter(|record| record["event"] == "step_succeeded" && record["step"] == step);
    Ok(done.next().with_context(|| format!("{step} did not succeed"))?["outputs"].clone())
}

async fn superuser(stand: &Stand) -> Result<Client> {
    let mut config = stand.testbed.observer();
    config.dbname("app").options("-c default_transaction_read_only=off");
    connect(&config).await
}

/// What was said, in one line.
fn said(command: &mut Command) -> Result<(bool, String)> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    Ok((output.status.success(), text))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_surrounds_the_tables_is_looked_at_before_the_restore() -> Result<()> {
    let mut stand = Stand::loaded(5).await?;
    let client = superuser(&stand).await?;
    client.batch_execute(SCHEMA).await?;
    stand.testbed.base_backup("with-notes").await?;
    let now = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
    stand.not_before = stand.value(&client, now).await?;
    client.batch_execute("DELETE FROM notes_here WHERE name LIKE 'note 1%'").await?;

    // As after an update of ICU, and where the server was frozen in its file.
    client.batch_execute("UPDATE pg_collation SET collversion = '0.1' WHERE collname = 'letters'").await?;
    client.batch_execute("ALTER SYSTEM SET default_transaction_read_only = on").await?;
    client.batch_execute("SELECT pg_reload_conf()").await?;
    let (good, text) = said(&mut stand.run_up_to("restore", "public.notes_here")?)?;
    ensure!(!good, "{text}");
    for expect in [
        "pg-obstacles",
        "[pg-collation-version] public.notes_here has the key column name with the collation letters, whose version is",
        "and was 0.1 when its indexes were built",
        "[pg-read-only] the server has `default_transaction_read_only = on` in its configuration",
        "postgresql.auto.conf, line",
    ] {
        ensure!(text.contains(expect), "no `{expect}` in {text}");
    }
    ensure!(stand.instances().is_empty(), "{:?}", stand.instances());

    // Each way out leads out.
    client.batch_execute("REINDEX TABLE notes_here").await?;
    client.batch_execute("ALTER COLLATION letters REFRESH VERSION").await?;
    client.batch_execute("ALTER SYSTEM RESET default_transaction_read_only").await?;
    client.batch_execute("SELECT pg_reload_conf()").await?;
    let (good, text) = said(&mut stand.run_up_to("restore", "public.notes_here")?)?;
    ensure!(good, "{text}");
    ensure!(text.contains("public.notes_here has foreign tables beside it (notes_far)"), "{text}");

    // What has the table's name today lies on another server. The set is the one that was found before.
    let found = output_of(&stand, "find")?;
    let runbook = stand.home.path().join("preflight.yaml");
    fs::write(
        &runbook,
        PREFLIGHT.replace("FILE", &found["set_file"].to_string()).replace("DIGEST", &found["set_digest"].to_string()),
    )?;
    client
        .batch_execute("ALTER TABLE notes DETACH PARTITION notes_here; ALTER TABLE notes_here RENAME TO notes_old")
        .await?;
    client.batch_execute("CREATE FOREIGN TABLE notes_here (name text, kind int) SERVER nowhere").await?;
    let (good, text) = said(stand.lifeboat(&["run"]).arg(&runbook).arg("--bindings").arg(&stand.bindings))?;
    ensure!(!good && text.contains("pg-foreign-table"), "{text}");
    drop(client);
    stand.stop().await
}
