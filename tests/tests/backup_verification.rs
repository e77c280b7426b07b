//! The monthly backup verification against real servers: it restores both ends of what is kept, finds what is broken, and leaves
//! nothing behind.

use std::fs;

use anyhow::{Context, Result, ensure};
use lifeboat_tests::stand::Stand;

const RUNBOOK: &str = "workflows/backup-verification.yaml";

/// How a run ended: its exit code, its outcome, and what it said.
struct Ended {
    code: Option<i32>,
    outcome: String,
    said: String,
}

fn verify(stand: &Stand, tables: &str) -> Result<Ended> {
    let mut command = stand.lifeboat(&["run", RUNBOOK, "--input"]);
    command.arg(format!("tables={tables}")).arg("--bindings").arg(&stand.bindings);
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

/// Two backups of a server on which was written in between and afterwards.
async fn kept() -> Result<Stand> {
    let stand = Stand::loaded(200).await?;
    let application = stand.application().await?;
    application
        .batch_execute("INSERT INTO customers (name) SELECT 'later ' || n FROM generate_series(1, 50) n")
        .await?;
    stand.testbed.base_backup("later").await?;
    application.batch_execute("INSERT INTO customers (name) SELECT 'last ' || n FROM generate_series(1, 50) n").await?;
    Ok(stand)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_are_restored_read_and_removed() -> Result<()> {
    let stand = kept().await?;
    let before = stand.content().await?;
    let ended = verify(&stand, r#"["public.customers", "public.orders", "public.items"]"#)?;
    ensure!((ended.code, ended.outcome.as_str()) == (Some(0), "succeeded"), "{}\n{}", ended.outcome, ended.said);
    ensure!(told(&stand) == ["BV-001: the backups can be restored"], "{:?}", told(&stand));
    ensure!(stand.instances().is_empty(), "left: {:?}", stand.instances());
    ensure!(stand.content().await? == before, "the original was changed");
    stand.stop().await
}

/// A table that was made after the oldest backup: both copies are taken back.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_missing_rolls_everything_back_and_people_are_told() -> Result<()> {
    let stand = kept().await?;
    let ended = verify(&stand, r#"["public.customers", "public.late"]"#)?;
    ensure!((ended.code, ended.outcome.as_str()) == (Some(1), "rolled_back"), "{}\n{}", ended.outcome, ended.said);
    ensure!(ended.said.contains("pg-check-failed"), "{}", ended.said);
    ensure!(told(&stand) == ["BV-001: the backups were NOT verified"], "{:?}", told(&stand));
    ensure!(stand.instances().is_empty(), "left: {:?}", stand.instances());
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_of_the_oldest_backup_is_found() -> Result<()> {
    let stand = kept().await?;
    let file = stand.testbed.backups_folder().join("nightly/PG_VERSION");
    fs::write(&file, "16\n").with_context(|| file.display().to_string())?;
    let ended = verify(&stand, r#"["public.customers"]"#)?;
    ensure!((ended.code, ended.outcome.as_str()) == (Some(1), "failed"), "{}\n{}", ended.outcome, ended.said);
    ensure!(ended.said.contains("pg-backup-damaged"), "{}", ended.said);
    ensure!(told(&stand) == ["BV-001: the backups were NOT verified"], "{:?}", told(&stand));
    ensure!(stand.instances().is_empty(), "left: {:?}", stand.instances());
    stand.stop().await
}
