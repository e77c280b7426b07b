//! Drills, as a user holds them and on few rows: those that must be met, and those that must not, because of a known breakage or of
//! what happened meanwhile. One is held at a time.

mod broken;
mod changed;
mod controls;
mod corruption;
mod intruder;
mod kept;
mod met;
mod region;
mod timelines;
mod verification;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use lifeboat_simulator::report::schema;
use lifeboat_tests::{lifeboat, rehearsal::Rehearsal, repository};
use serde_json::Value;
use tempfile::TempDir;

/// Holds `lifeboat drill dr-003 … --json`; gives its report, the folder of its run, and what keeps that.
fn shipped(arguments: &[&str]) -> Result<(Value, PathBuf, TempDir)> {
    let home = tempfile::tempdir()?;
    let output = std::process::Command::new(lifeboat())
        .args(["drill", "dr-003", "--json"])
        .args(arguments)
        .env("LIFEBOAT_HOME", home.path())
        .current_dir(repository())
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    // Its report is the only thing on standard output.
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| text.clone())?;
    ensure!(output.status.success(), "{}: {}\n{text}", output.status, report["checks"]);
    let folder = home.path().join("runs").join(report["run"].as_str().context("a run")?);
    ensure!(whole(&folder)? == report, "another report is kept than is printed");
    Ok((report, folder, home))
}

/// Holds a drill that ends with this exit code; gives its report.
fn held(rehearsal: &Rehearsal, code: i32) -> Result<Value> {
    held_on(rehearsal, "process", code)
}

/// The same on that testbed.
fn held_on(rehearsal: &Rehearsal, testbed: &str, code: i32) -> Result<Value> {
    let ended = rehearsal.hold(&["--json", "--testbed", testbed], |_, _| Ok(()))?;
    ensure!(rehearsal.left()?.is_empty(), "left behind: {:?}", rehearsal.left()?);
    ensure!(ended.status.code() == Some(code), "{}: {}\n{}", ended.status, ended.out, ended.said);
    let report: Value = serde_json::from_str(&ended.out).with_context(|| ended.said.clone())?;
    // Of several recoveries, everything of the drill lies with the first.
    let folder = rehearsal.state().join("runs").join(report["run"].as_str().context("a run")?);
    ensure!(whole(&folder)? == report, "another report is kept than is printed");
    Ok(report)
}

/// The report in the folder of a run, which follows its schema; what people read and what it was measured from lies beside it.
fn whole(folder: &Path) -> Result<Value> {
    let report: Value = serde_json::from_slice(&fs::read(folder.join("report.json"))?)?;
    let schema = jsonschema::validator_for(&schema())?;
    let problems: Vec<String> = schema.iter_errors(&report).map(|error| error.to_string()).collect();
    ensure!(problems.is_empty(), "{problems:?}");
    for file in ["report.html", "report.md", "junit.xml", "ledger.jsonl", "probes.jsonl"] {
        ensure!(fs::metadata(folder.join(file))?.len() > 0, "{file} is empty");
    }
    // Nobody has to guess who held it, and an auditor sees what it does not say.
    ensure!(report["held"]["by"].is_string() && report["not_applied"].is_array(), "{}", report["held"]);
    ensure!(fs::read_to_string(folder.join("report.md"))?.contains("\n## Not covered\n"), "report.md is not whole");
    let junit = fs::read_to_string(folder.join("junit.xml"))?;
    let is_green = junit.lines().nth(1).is_some_and(|head| head.contains("failures=\"0\" errors=\"0\""));
    ensure!(is_green == (report["verdict"] == "met"), "{} is told as\n{junit}", report["verdict"]);
    Ok(report)
}

/// What a drill promises that went well, whatever its size.
fn check_met(report: &Value) -> Result<()> {
    let writes = &report["writes"];
    ensure!(report["format"] == "lifeboat.report/2" && report["verdict"] == "met", "{report:#}");
    for nothing in ["lost", "lost_loaded_rows", "unexpected", "raised_from_the_dead"] {
        ensure!(writes[nothing] == 0, "{nothing}: {writes}");
    }
    let (rto, rpo) = (&report["episodes"][0]["rto"], &report["episodes"][0]["rpo"]);
    ensure!(rpo["residual_damage"] == 0, "{rpo}");
    ensure!(rto["service_s"]["low"].as_f64() > Some(0.0), "the outage was not seen: {rto}");
    ensure!(rto["service_s"]["high"].as_f64() > Some(0.0), "an outage took no time: {rto}");
    let steps = report["episodes"][0]["steps"].as_array().context("steps")?;
    ensure!(steps.iter().any(|step| step["on_critical_path"] == true), "no step took time: {steps:#?}");
    let checks = report["checks"].as_array().context("checks")?;
    ensure!(!checks.is_empty() && checks.iter().all(|check| check["passed"] == true), "{checks:#?}");
    Ok(())
}

/// What the default drill promises, too.
fn check_met_in_full(report: &Value) -> Result<()> {
    let writes = &report["writes"];
    ensure!(writes["loaded_rows"].as_u64() >= Some(200_000), "too few rows: {writes}");
    ensure!(writes["damaged_rows"].as_u64() >= Some(10_000), "too little damage: {writes}");
    check_met(report)
}

/// The checks of a report of which this is so.
fn checks_where<'a>(report: &'a Value, what: &str, is: impl Into<Value>) -> Vec<&'a str> {
    let is = is.into();
    let checks = report["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    checks.iter().filter(|check| check[what] == is).filter_map(|check| check["name"].as_str()).collect()
}

/// The checks that did not hold, or of which nothing is known.
fn failed(report: &Value) -> Vec<&str> {
    checks_where(report, "passed", false)
}
