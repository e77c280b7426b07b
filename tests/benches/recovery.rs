//! The two long steps of DR-003 beside what a DBA would type: `find-damage` beside bare `pg_waldump`, `merge-missing` beside
//! a hand-written `COPY` and `INSERT … ON CONFLICT DO NOTHING`; the engine's memory while it does them; and `verify-backup`
//! beside as many bare `pg_waldump -q` as it runs. `LIFEBOAT_BENCH_WAL_GIB` says how much WAL they read; 1 where it is not set.
//!
//! Prints one JSON line a benchmark. Both sides of each ratio are measured in this one run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use lifeboat_tests::stand::{Stand, connect, files_below};
use serde_json::{Value, json};
use tokio_postgres::{Config, config::Host};

const ROWS: u64 = 1_000_000;
const VERIFY: &str = "
lifeboat: 1
id: BENCH
name: Verify a backup
targets:
  recovery: { kind: machine, access: destroy, description: Where the backup lies }
steps:
  - { id: look, uses: pg/verify-backup, with: { machine: recovery, wal: WAL }, timeout: 10m }
";

#[tokio::main]
async fn main() -> Result<()> {
    let stand = Stand::loaded(10).await?;
    let application = stand.application().await?;
    application
        .batch_execute("CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, kind int NOT NULL, payload text NOT NULL)")
        .await?;
    application
        .batch_execute(&format!(
            "INSERT INTO events SELECT n, timestamptz '2026-01-01' + n * interval '1 s', n % 7, md5(n::text) FROM generate_series(1, {}) n",
            ROWS * 6 / 5
        ))
        .await?;
    stand.testbed.base_backup("bench").await?;
    let gib = std::env::var("LIFEBOAT_BENCH_WAL_GIB").map_or(Ok(1), |gib| gib.parse::<u64>())?;
    write_wal(&stand, gib << 30).await?;
    application.batch_execute(&format!("DELETE FROM events WHERE id <= {ROWS}")).await?;
    application.execute("VACUUM events", &[]).await?;
    let memory_kib = recover(&stand)?;
    let steps = step_seconds(&stand.run_folder()?.join("journal.jsonl"))?;
    let waldump = bare_waldump(&stand)?;
    line(&format!("find-damage, {gib} GiB of WAL"), seconds(&steps, "find")?, waldump, 1.2);
    let (verified, read) = (verify(&stand)?, quiet_waldumps(&stand)?);
    line(&format!("verify-backup, {gib} GiB of WAL"), verified, read, 1.25);
    let merged = seconds(&steps, "merge")?;
    application.batch_execute(&format!("DELETE FROM events WHERE id <= {ROWS}")).await?;
    application.execute("VACUUM events", &[]).await?;
    line("merge-missing, 1,000,000 rows", merged, hand_written(&stand)?, 1.5);
    print(&json!({"name": "engine memory during both", "value": memory_kib / 1024, "unit": "MiB", "bar": 150}));
    stand.stop().await
}

fn line(name: &str, ours_s: f64, theirs_s: f64, bar: f64) {
    print(
        &json!({"name": name, "value": ours_s, "unit": "s", "beside": theirs_s, "ratio": ours_s / theirs_s, "bar": bar}),
    );
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn print(result: &Value) {
    println!("{result}");
}

/// Updates until so much WAL has been written since the backup.
async fn write_wal(stand: &Stand, bytes: u64) -> Result<()> {
    let observer = connect(&stand.testbed.observer()).await?;
    let application = stand.application().await?;
    let start = stand.value(&observer, "SELECT pg_current_wal_lsn()::text").await?;
    for round in 0..1_000 {
        let sql = format!("UPDATE events SET payload = md5(payload) WHERE id % 40 = {}", round % 40);
        application.batch_execute(&sql).await?;
        let written = stand.value(&observer, &format!("SELECT (pg_current_wal_lsn() - '{start}')::text")).await?;
        if written.parse::<u64>()? >= bytes {
            return Ok(());
        }
    }
    anyhow::bail!("1,000 rounds of updates wrote less than {bytes} bytes of WAL")
}

/// Runs DR-003 without its last step, so that the copy stays, and returns the engine's peak memory in KiB.
fn recover(stand: &Stand) -> Result<u64> {
    let mut command = stand.run_up_to("clean_up", "public.events")?;
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()?;
    let mut peak_kib = 0;
    while child.try_wait()?.is_none() {
        peak_kib = peak_kib.max(peak_memory_kib(child.id()).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    ensure!(child.wait()?.success(), "the recovery failed");
    Ok(peak_kib)
}

fn peak_memory_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}

/// Seconds between the start and the success of each step, from the journal.
fn step_seconds(journal: &Path) -> Result<Vec<(String, f64)>> {
    let mut started: Vec<(String, Timestamp)> = Vec::new();
    let mut steps = Vec::new();
    for text in fs::read_to_string(journal)?.lines() {
        let record: Value = serde_json::from_str(text)?;
        let (Some(event), Some(step)) = (record["event"].as_str(), record["step"].as_str()) else { continue };
        let at: Timestamp = record["at"].as_str().context("a time")?.parse()?;
        match event {
            "step_started" => started.push((step.to_owned(), at)),
            "step_succeeded" => {
                let begin = started.iter().rev().find(|(id, _)| id == step).map(|(_, begin)| *begin);
                steps.extend(
                    begin.map(|begin| (step.to_owned(), (at - begin).total(jiff::Unit::Second).unwrap_or(0.0))),
                );
            }
            _ => {}
        }
    }
    Ok(steps)
}

fn seconds(steps: &[(String, f64)], id: &str) -> Result<f64> {
    steps.iter().find(|(step, _)| step == id).map(|(_, seconds)| *seconds).with_context(|| format!("no step {id}"))
}

/// `pg/verify-backup`, less what it takes without reading the WAL.
fn verify(stand: &Stand) -> Result<f64> {
    let step = |wal: &str| {
        let runbook = VERIFY.replace("WAL", wal);
        let path = stand.home.path().join("verify.yaml");
        fs::write(&path, runbook)?;
        let mut command = stand.lifeboat(&["run"]);
        command.arg(&path).arg("--bindings").arg(&stand.bindings).stdout(Stdio::null()).stderr(Stdio::null());
        ensure!(command.status()?.success(), "the verification failed");
        seconds(&step_seconds(&stand.run_folder()?.join("journal.jsonl"))?, "look")
    };
    let count = step("count")?;
    Ok(step("read")? - count)
}

/// Two `pg_waldump -q`, each over a half of the archive since the backup.
fn quiet_waldumps(stand: &Stand) -> Result<f64> {
    let names = archived(stand);
    let waldump = postgres_program(stand, "pg_waldump")?;
    let begin = Instant::now();
    let halves = names.chunks(names.len().div_ceil(2)).map(|half| {
        let ends = [half.first(), half.last()].into_iter().flatten();
        let mut command = Command::new(&waldump);
        command.arg("-q").arg("-p").arg(stand.testbed.archive_folder()).args(ends);
        Ok(command.stdout(Stdio::null()).spawn()?)
    });
    for child in halves.collect::<Result<Vec<_>>>()? {
        ensure!({ child }.wait()?.success(), "pg_waldump failed");
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// The names of the archived segments since the backup, oldest first.
fn archived(stand: &Stand) -> Vec<String> {
    let files = files_below(&stand.testbed.archive_folder());
    let names = files.iter().filter_map(|file| Some(file.file_name()?.to_str()?.to_owned()));
    let mut names: Vec<String> = names.collect();
    let begin = names.iter().filter(|name| name.ends_with(".backup")).filter_map(|name| name.get(..24)).max();
    let begin = begin.unwrap_or_default().to_owned();
    names.retain(|name| name.len() == 24 && *name >= begin);
    names.sort();
    names
}

/// `pg_waldump` over the whole archive since the backup, its text thrown away.
fn bare_waldump(stand: &Stand) -> Result<f64> {
    let mut segments = files_below(&stand.testbed.archive_folder());
    segments.retain(|file| file.file_name().is_some_and(|name| name.len() == 24));
    segments.sort();
    let (first, last) = (segments.first().context("a segment")?, segments.last().context("a segment")?);
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_owned();
    let begin = Instant::now();
    Command::new(postgres_program(stand, "pg_waldump")?)
        .arg("-p")
        .arg(stand.testbed.archive_folder())
        .arg(name(first))
        .arg(name(last))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(begin.elapsed().as_secs_f64())
}

fn postgres_program(stand: &Stand, program: &str) -> Result<PathBuf> {
    Ok(Path::new(&stand.binding("postgres_bin: ")?).join(program))
}

/// What a DBA types who knows the keys: `COPY` out of the copy, `COPY` into a temporary table, `INSERT … ON CONFLICT DO NOTHING`.
fn hand_written(stand: &Stand) -> Result<f64> {
    let (copy, primary) = (stand.copy()?, stand.testbed.observer());
    let psql = postgres_program(stand, "psql")?;
    let (user, password) = (stand.binding("user: ")?, stand.binding("password: file:")?);
    let password = fs::read_to_string(password)?;
    let login = |server: &Config| {
        let host = match &server.get_hosts()[0] {
            Host::Tcp(host) => host.clone(),
            Host::Unix(folder) => folder.display().to_string(),
        };
        let port = server.get_ports()[0].to_string();
        let mut command = Command::new(&psql);
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", &host, "-p", &port, "-U", &user, "-d", "app"]);
        command.env("PGPASSWORD", password.trim());
        command
    };
    let begin = Instant::now();
    let mut out = login(&copy)
        .args(["-c", &format!("COPY (SELECT * FROM events WHERE id <= {ROWS}) TO STDOUT")])
        .stdout(Stdio::piped())
        .spawn()?;
    let status = login(&primary)
        .args([
            "-c",
            "BEGIN",
            "-c",
            "CREATE TEMP TABLE back (LIKE events) ON COMMIT DROP",
            "-c",
            "COPY back FROM STDIN",
        ])
        .args(["-c", "INSERT INTO events SELECT * FROM back ON CONFLICT DO NOTHING", "-c", "COMMIT"])
        .stdin(out.stdout.take().context("stdout is piped")?)
        .status()?;
    ensure!(out.wait()?.success() && status.success(), "the hand-written way failed");
    Ok(begin.elapsed().as_secs_f64())
}
