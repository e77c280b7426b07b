//! DR-003 as a whole beside what an expert types for the same damage with the transaction given: `expert.sh`. Both start the
//! same way, from one deletion each, in turn; the ratio is that of the medians.
//!
//! Prints one JSON line for the whole and one for each step of the runbook, so that it shows where the rest goes.

use std::{
    collections::BTreeMap, fs, net::TcpListener, os::unix::fs::MetadataExt, path::PathBuf, process::Command,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use lifeboat_tests::stand::Stand;
use serde_json::{Value, json};

const PAIRS: usize = 5;
const ROWS: u64 = 1_000_000;
const DELETED: u64 = 50_000;
const BAR: f64 = 1.10;

#[tokio::main]
async fn main() -> Result<()> {
    let stand = Stand::loaded(10).await?;
    let application = stand.application().await?;
    application
        .batch_execute(&format!(
            "CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, payload text NOT NULL);
             INSERT INTO events SELECT n, now(), md5(n::text) FROM generate_series(1, {ROWS}) n"
        ))
        .await?;
    stand.testbed.base_backup("bench").await?;
    let (mut ours, mut theirs, mut steps) = (Vec::new(), Vec::new(), BTreeMap::<String, Vec<f64>>::new());
    for pair in 0..PAIRS {
        for side in 0..2 {
            let xid = delete(&application).await?;
            if (pair + side) % 2 == 0 {
                ours.push(runbook(&stand, &xid)?);
                for (step, seconds) in step_seconds(&stand)? {
                    steps.entry(step).or_default().push(seconds);
                }
            } else {
                theirs.push(expert(&stand, &xid)?);
            }
            let count = stand.value(&application, "SELECT count(*)::text FROM events").await?;
            ensure!(count == ROWS.to_string(), "{count} of {ROWS} rows are there");
        }
    }
    let (ours_s, theirs_s) = (median(ours), median(theirs));
    print(&json!({
        "name": "dr-003-beside-an-expert", "value": ours_s, "unit": "s", "beside": theirs_s, "ratio": ours_s / theirs_s, "bar": BAR,
    }));
    for (step, seconds) in steps {
        print(&json!({"name": format!("dr-003-beside-an-expert, step {step}"), "value": median(seconds), "unit": "s"}));
    }
    stand.stop().await
}

/// The mistake, and some work of the application behind it; the transaction's id.
async fn delete(application: &tokio_postgres::Client) -> Result<String> {
    let sql = format!(
        "WITH gone AS (DELETE FROM events WHERE id <= {DELETED} RETURNING 1) SELECT pg_current_xact_id()::text FROM gone LIMIT 1"
    );
    let xid = application.query_one(&sql, &[]).await?.get(0);
    application.batch_execute("UPDATE customers SET name = name || '!'").await?;
    Ok(xid)
}

fn runbook(stand: &Stand, xid: &str) -> Result<f64> {
    let mut command = stand.lifeboat(&["run", "workflows/dr-003-accidental-deletion.yaml", "--approve", "sign_off"]);
    command.arg("--bindings").arg(&stand.bindings).args(["--input", "damaged_table=public.events"]);
    command.arg("--input").arg(format!("not_before={}", stand.not_before)).arg("--input").arg(format!("xid={xid}"));
    timed(command)
}

fn expert(stand: &Stand, xid: &str) -> Result<f64> {
    let owner = fs::metadata(stand.testbed.work_folder())?.uid();
    let root = fs::metadata("/proc/self")?.uid() == 0;
    let mut command = Command::new("bash");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/expert.sh"));
    command.env("BIN", stand.binding("postgres_bin: ")?).env("ARCHIVE", stand.testbed.archive_folder());
    command.env("BACKUP", stand.testbed.backups_folder().join("bench"));
    command.env("WORK", stand.testbed.work_folder().join("expert"));
    command.env("PORT", stand.testbed.observer().get_ports()[0].to_string());
    command.env("COPY_PORT", free_port()?.to_string()).env("XID", xid).env("TABLE", "events");
    command.env("AS_USER", if root { owner.to_string() } else { String::new() });
    command.env("LOGIN", stand.binding("user: ")?);
    command.env("PGPASSWORD", fs::read_to_string(PathBuf::from(stand.binding("password: file:")?))?.trim());
    timed(command)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn timed(mut command: Command) -> Result<f64> {
    let begin = Instant::now();
    let output = command.output()?;
    let seconds = begin.elapsed().as_secs_f64();
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(seconds)
}

/// Seconds between the start and the success of each step of the newest run.
fn step_seconds(stand: &Stand) -> Result<Vec<(String, f64)>> {
    let mut started = BTreeMap::new();
    let mut steps = Vec::new();
    for text in fs::read_to_string(stand.run_folder()?.join("journal.jsonl"))?.lines() {
        let record: Value = serde_json::from_str(text)?;
        let (Some(event), Some(step)) = (record["event"].as_str(), record["step"].as_str()) else { continue };
        let at: Timestamp = record["at"].as_str().context("a time")?.parse()?;
        match event {
            "step_started" => drop(started.insert(step.to_owned(), at)),
            "step_succeeded" => {
                let begin = started.get(step).copied().unwrap_or(at);
                steps.push((step.to_owned(), (at - begin).total(jiff::Unit::Second)?));
            }
            _ => {}
        }
    }
    Ok(steps)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn print(result: &Value) {
    println!("{result}");
}
