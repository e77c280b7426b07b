//! Runbooks that find what transactions removed, and put it back, for tests of `pg/find-damage` alone.

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio_postgres::Client;

use crate::stand::{Stand, connect, files_below};

const HEAD: &str = r#"lifeboat: 1
id: FIND-001
name: Find what transactions removed
targets:
  primary: { kind: postgres, access: write, description: "The server" }
  recovery: { kind: machine, access: destroy, description: "Where the archive lies" }
steps:
  - id: archive
    uses: pg/switch-wal
    with: { server: primary, machine: recovery }
  - id: find
    uses: pg/find-damage
    with: { server: primary, machine: recovery, "#;

/// A copy from just before.
const COPY: &str = r#"  - id: restore
    uses: pg/restore
    with:
      machine: recovery
      server: primary
      target: { before_xid: "${{ steps.find.outputs.xid }}" }
      promote: "${{ size(steps.find.outputs.locked) > 0 }}"
"#;

/// Another one from just after, beside the first.
const COPY_AFTER: &str = r#"  - id: restore_after
    uses: pg/restore
    needs: [find]
    with: { machine: recovery, server: primary, target: { xid: "${{ steps.find.outputs.xid }}" } }
"#;

/// Something that is done with the copy and the exact set.
const WORK: &str = r#"  - id: STEP
    uses: pg/ACTION
    with:
      server: primary
      machine: recovery
      instance: "${{ steps.restore.outputs.instance }}"
      set_file: "${{ steps.find.outputs.set_file }}"
      set_digest: "${{ steps.find.outputs.set_digest }}"
"#;

/// What a merge left out.
const LEFT: &str = r#"      left_file: "${{ steps.merge.outputs.left_file }}"
      left_digest: "${{ steps.merge.outputs.left_digest }}"
"#;

const CLEAN_UP: &str = r#"  - id: clean_up
    uses: pg/destroy-instance
    with: { machine: recovery, instance: "${{ steps.restore.outputs.instance }}" }
"#;

/// What a run gave: the outputs of its steps by `STEP`, or what it said where it failed.
pub type Outcome = std::result::Result<Value, String>;

/// Finds with these parameters (`table: public.t, since: "…"`).
pub fn find(stand: &Stand, parameters: &str) -> Result<Outcome> {
    find_and(stand, parameters, "")
}

/// Finds, restores a copy, puts the rows back, and removes the copy.
pub fn put_back(stand: &Stand, parameters: &str) -> Result<Outcome> {
    with_copy(stand, parameters, "merge", "merge-missing")
}

/// Finds, restores a copy, compares the rows with what is there, and removes the copy.
pub fn compare(stand: &Stand, parameters: &str) -> Result<Outcome> {
    with_copy(stand, parameters, "compare", "compare")
}

/// Finds what was changed, restores two copies, and puts the values back with this meaning of triggers; `after` is the step whose copy is
/// taken for what the change wrote.
pub fn change_back(stand: &Stand, parameters: &str, triggers: &str, after: &str) -> Result<Outcome> {
    let after_of = |step: &str| format!("      after: \"${{{{ steps.{step}.outputs.instance }}}}\"\n");
    let compare = work("compare", "compare").replace("    with:", "    needs: [restore, restore_after]\n    with:");
    let compare = compare + &after_of("restore_after");
    let merge = work("merge", "merge-missing") + &after_of(after) + &format!("      triggers: {triggers}\n");
    let verify = work("verify", "compare") + &after_of("restore_after") + LEFT;
    find_and(stand, parameters, &[COPY, COPY_AFTER, &compare, &merge, &verify].concat())
}

fn with_copy(stand: &Stand, parameters: &str, step: &str, action: &str) -> Result<Outcome> {
    find_and(stand, parameters, &[COPY, &work(step, action), CLEAN_UP].concat())
}

fn work(step: &str, action: &str) -> String {
    WORK.replace("STEP", step).replace("ACTION", action)
}

/// Finds, and goes on with these steps.
pub fn find_and(stand: &Stand, parameters: &str, steps: &str) -> Result<Outcome> {
    run(stand, &format!("{HEAD}{parameters} }}\n{steps}"))
}

fn run(stand: &Stand, runbook: &str) -> Result<Outcome> {
    let path = stand.home.path().join("find.yaml");
    fs::write(&path, runbook)?;
    let mut command = stand.lifeboat(&["run"]);
    command.arg(&path).arg("--bindings").arg(&stand.bindings);
    let known: BTreeSet<PathBuf> = journals(stand).collect();
    let output = command.output()?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let journal = journals(stand).find(|file| !known.contains(file)).context("the run has a journal")?;
    let journal = fs::read_to_string(journal)?;
    let records = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ends = records.filter(|record| record["event"] == "step_succeeded");
    Ok(Ok(ends
        .map(|record| (record["step"].as_str().unwrap_or_default().to_owned(), record["outputs"].clone()))
        .collect()))
}

fn journals(stand: &Stand) -> impl Iterator<Item = PathBuf> {
    let files = files_below(&stand.home.path().join("state/runs"));
    files.into_iter().filter(|file| file.ends_with("journal.jsonl"))
}

/// A connection that may do everything.
pub async fn superuser(stand: &Stand) -> Result<Client> {
    let mut config = stand.testbed.observer();
    config.dbname("app");
    connect(&config).await
}

/// The server's clock.
pub async fn now(stand: &Stand, client: &Client) -> Result<String> {
    stand
        .value(client, "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
        .await
}

/// Runs statements in a transaction; its xid.
pub async fn transaction(stand: &Stand, client: &Client, sql: &str) -> Result<String> {
    client.batch_execute("BEGIN").await?;
    client.batch_execute(sql).await.with_context(|| sql.to_owned())?;
    let xid = stand.value(client, "SELECT pg_current_xact_id()::text").await?;
    client.batch_execute("COMMIT").await?;
    Ok(xid)
}

/// A transaction's id among outputs, as SQL prints it.
pub fn xid(output: &Value) -> String {
    output.to_string()
}

/// Fails unless a run ended with all of these in what it said; line breaks do not matter.
pub fn says(outcome: &Outcome, texts: &[&str]) -> Result<()> {
    let Err(said) = outcome else { anyhow::bail!("it succeeded, expected {texts:?}: {outcome:?}") };
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in texts {
        ensure!(said.contains(text), "no `{text}` in: {said}");
    }
    Ok(())
}

/// The outputs of a step of a run that must have succeeded.
pub fn outputs(outcome: Outcome, step: &str) -> Result<Value> {
    match outcome {
        Ok(outputs) => Ok(outputs[step].clone()),
        Err(said) => anyhow::bail!("it failed: {said}"),
    }
}
