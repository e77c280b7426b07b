//! The drill as a user calls it: the whole default size, on both testbeds, with its controls.

use std::fs;

use anyhow::{Context, Result, ensure};
use lifeboat_simulator::testbed::{Backend, at_hand};
use lifeboat_tests::{
    lifeboat,
    rehearsal::{Rehearsal, alone, kill_server},
    repository,
};
use serde_json::Value;

/// Runs `lifeboat drill dr-003 … --json`; its report must be the only thing on standard output.
fn drill(arguments: &[&str]) -> Result<Value> {
    let _alone = alone();
    let home = tempfile::tempdir()?;
    let output = std::process::Command::new(lifeboat())
        .args(["drill", "dr-003", "--json"])
        .args(arguments)
        .env("LIFEBOAT_HOME", home.path())
        .current_dir(repository())
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| text.clone())?;
    ensure!(output.status.success(), "{}: {}\n{text}", output.status, report["checks"]);
    Ok(report)
}

/// What the default drill promises.
fn check_met(report: &Value) -> Result<()> {
    let writes = &report["writes"];
    ensure!(report["format"] == "lifeboat.report/2" && report["verdict"] == "met", "{report:#}");
    ensure!(writes["loaded_rows"].as_u64() >= Some(200_000), "too few rows: {writes}");
    ensure!(writes["damaged_rows"].as_u64() >= Some(10_000), "too little damage: {writes}");
    for nothing in ["lost", "lost_loaded_rows", "unexpected", "raised_from_the_dead"] {
        ensure!(writes[nothing] == 0, "{nothing}: {writes}");
    }
    ensure!(report["episodes"][0]["rpo"]["residual_damage"] == 0, "{}", report["episodes"][0]["rpo"]);
    ensure!(
        report["episodes"][0]["rto"]["service_s"]["high"].as_f64() > Some(0.0),
        "an outage took no time: {}",
        report["episodes"][0]["rto"]
    );
    let checks = report["checks"].as_array().context("checks")?;
    ensure!(!checks.is_empty() && checks.iter().all(|check| check["passed"] == true), "{checks:#?}");
    Ok(())
}

#[test]
fn on_processes() -> Result<()> {
    check_met(&drill(&["--testbed", "process"])?)
}

#[test]
fn on_containers() -> Result<()> {
    if let Err(reason) = at_hand(Backend::Container) {
        // Standard error of a passing test is not shown: `make test` says it once more at its end.
        eprintln!("SKIPPED: {reason}");
        return Ok(());
    }
    check_met(&drill(&["--testbed", "container"])?)
}

#[test]
fn controls_turn_red_and_the_run_without_a_fault_measures_nothing() -> Result<()> {
    let report = drill(&["--testbed", "process", "--controls"])?;
    check_met(&report)?;
    let controls = report["controls"].as_array().context("controls")?;
    let names: Vec<_> = controls.iter().filter_map(|control| control["name"].as_str()).collect();
    ensure!(names == ["wrong-target-time", "no-op-restore", "overwritten-keys"], "{names:?}");
    for control in controls {
        ensure!(control["turned_red"] == true && control["by"] == "residual-damage", "{control:#}");
    }
    let undisturbed = &report["control_run"];
    ensure!(undisturbed["passed"] == true, "{undisturbed:#}");
    ensure!(undisturbed["rto_s"]["low"] == 0.0 && undisturbed["rpo_s"]["low"] == 0.0, "{undisturbed:#}");
    Ok(())
}

/// The checks of a report that did not hold, or of which nothing is known.
fn checks_where<'a>(report: &'a Value, what: &str, is: bool) -> Vec<&'a str> {
    let checks = report["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    checks.iter().filter(|check| check[what] == is).filter_map(|check| check["name"].as_str()).collect()
}

/// The primary is killed when the rows are about to be put back, and nobody starts it again: the recovery fails. That is what
/// a drill is there to find out, so it is a report, in which nothing that could not be read is green.
#[test]
fn a_server_that_stays_dead_is_a_report() -> Result<()> {
    let _alone = alone();
    let rehearsal = Rehearsal::small()?;
    let mut killed = false;
    let ended = rehearsal.hold(&["--json"], |line, _| {
        if !killed && line.ends_with(" merge started") {
            killed = true;
            kill_server(&rehearsal.testbed()?.join("primary/data"))?;
        }
        Ok(())
    })?;
    ensure!(killed, "the merge never started:\n{}", ended.said);
    ensure!(ended.status.code() == Some(1), "{}:\n{}", ended.status, ended.said);
    let report: Value = serde_json::from_str(&ended.out).with_context(|| ended.said.clone())?;
    ensure!(report["verdict"] == "missed", "{report:#}");
    let (rto, rpo) = (&report["episodes"][0]["rto"], &report["episodes"][0]["rpo"]);
    // Seconds without an end are no proof that an hour is over; that the recovery failed is what misses.
    ensure!(rto["verdict"] == "unmeasured" && rto["service_s"]["high"].is_null(), "an outage without an end: {rto}");
    ensure!(rto["missing"].is_string(), "what was missing is said: {rto}");
    ensure!(rto["service_s"]["low"].as_f64() > Some(1.0), "{rto}");
    ensure!(rpo["verdict"] == "unmeasured" && rpo["actual_s"].is_null() && rpo["residual_damage"].is_null(), "{rpo}");
    ensure!(report["writes"]["lost"].is_null() && report["writes"]["final_rows"].is_null(), "{}", report["writes"]);
    let unread = ["rows-equal-ledger", "endpoints-agree", "marker-survives", "newer-rows-stay"];
    ensure!(checks_where(&report, "measured", false) == unread);
    let failed = checks_where(&report, "passed", false);
    for name in ["rows-equal-ledger", "endpoints-agree", "marker-survives", "runbook-succeeded"] {
        ensure!(failed.contains(&name), "{name} is green: {failed:?}");
    }
    let run = rehearsal.runs()?.pop().context("a run")?;
    for file in ["report.json", "report.html", "ledger.jsonl", "probes.jsonl", "journal.jsonl"] {
        ensure!(fs::metadata(run.join(file))?.len() > 0, "{file} is empty");
    }
    ensure!(rehearsal.left()?.is_empty(), "left behind: {:?}", rehearsal.left()?);
    Ok(())
}

#[test]
fn several_runs_are_one_report_beside_theirs() -> Result<()> {
    let _alone = alone();
    let rehearsal = Rehearsal::small()?;
    let ended = rehearsal.hold(&["--runs", "2", "--json"], |_, _| Ok(()))?;
    ensure!(ended.status.success(), "{}:\n{}", ended.status, ended.said);
    let printed: Value = serde_json::from_str(&ended.out)?;
    let folders = rehearsal.runs()?;
    let [first, second, series] = folders.as_slice() else { anyhow::bail!("{folders:?}") };
    ensure!(series.to_string_lossy().starts_with(&*second.to_string_lossy()), "{folders:?}");
    let kept: Value = serde_json::from_slice(&fs::read(series.join("report.json"))?)?;
    ensure!(kept == printed && series.join("report.html").exists(), "{kept:#}");
    let names = |folder: &std::path::PathBuf| folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let samples: Vec<_> =
        kept["samples"].as_array().context("samples")?.iter().map(|sample| sample["run"].as_str()).collect();
    ensure!(samples == [names(first).as_deref(), names(second).as_deref()], "{samples:?}");
    Ok(())
}

/// What `--keep` leaves standing is what `--remove` takes away, with the servers.
fn kept_and_removed(testbed: &str, stands: impl Fn(&Rehearsal) -> Result<bool>) -> Result<()> {
    let _alone = alone();
    let rehearsal = Rehearsal::small()?;
    let ended = rehearsal.hold(&["--testbed", testbed, "--keep"], |_, _| Ok(()))?;
    ensure!(ended.status.success(), "{}:\n{}", ended.status, ended.said);
    let folder = rehearsal.testbed()?;
    let named = format!("lifeboat drill --remove {}", folder.display());
    ensure!(ended.said.contains(&named), "the command is not shown:\n{}", ended.said);
    ensure!(stands(&rehearsal)?, "nothing stands");
    let removed = std::process::Command::new(lifeboat()).args(["drill", "--remove"]).arg(&folder).output()?;
    ensure!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    ensure!(rehearsal.left()?.is_empty() && !stands(&rehearsal)?, "left behind: {:?}", rehearsal.left()?);
    let again = std::process::Command::new(lifeboat()).args(["drill", "--remove"]).arg(&folder).output()?;
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    ensure!(again.status.code() == Some(1) && said.contains("drill-testbed-folder"), "{}: {said}", again.status);
    Ok(())
}

#[test]
fn kept_processes_are_removed() -> Result<()> {
    kept_and_removed("process", |rehearsal| Ok(rehearsal.left()?.iter().any(|line| line.contains("postgres"))))
}

#[test]
fn kept_containers_are_removed() -> Result<()> {
    if let Err(reason) = at_hand(Backend::Container) {
        eprintln!("SKIPPED: {reason}");
        return Ok(());
    }
    kept_and_removed("container", |_| {
        let filter = ["ps", "--all", "--quiet", "--filter", "label=org.lifeboat.keep"];
        Ok(!std::process::Command::new("docker").args(filter).output()?.stdout.is_empty())
    })
}

/// Nobody needs to be root to hold a drill on processes.
#[test]
fn without_root() -> Result<()> {
    use std::os::unix::{fs::PermissionsExt, fs::chown, process::CommandExt};
    const NOBODY: u32 = 65534;
    let _alone = alone();
    let rehearsal = Rehearsal::small()?;
    if fs::metadata(rehearsal.home.path()).map(|folder| std::os::unix::fs::MetadataExt::uid(&folder))? != 0 {
        let ended = rehearsal.hold(&[], |_, _| Ok(()))?;
        ensure!(ended.status.success(), "{}:\n{}", ended.status, ended.said);
        return Ok(());
    }
    // The checkout may be closed to him.
    let binary = rehearsal.home.path().join("lifeboat");
    fs::copy(lifeboat(), &binary)?;
    let runbook = rehearsal.home.path().join("dr-003-accidental-deletion.yaml");
    fs::copy(repository().join("workflows/dr-003-accidental-deletion.yaml"), &runbook)?;
    let small = rehearsal.home.path().join("drill.yaml");
    let text = fs::read_to_string(&small)?;
    let text = text.lines().map(|line| match line.split_once("runbook:") {
        Some((indent, _)) => format!("{indent}runbook: {}\n", runbook.display()),
        None => format!("{line}\n"),
    });
    fs::write(&small, text.collect::<String>())?;
    for folder in [&rehearsal.home, &rehearsal.temporary] {
        chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))?;
    }
    let output = std::process::Command::new(&binary)
        .arg("drill")
        .arg(&small)
        .env_clear()
        .envs([("TMPDIR", rehearsal.temporary.path()), ("HOME", rehearsal.home.path())])
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(rehearsal.home.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {}\n{said}", output.status, String::from_utf8_lossy(&output.stdout));
    ensure!(rehearsal.left()?.is_empty(), "left behind: {:?}", rehearsal.left()?);
    Ok(())
}
