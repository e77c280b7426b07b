//! The drill as a user calls it: the whole default size, on both testbeds, with its controls.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use lifeboat_simulator::testbed::{Backend, available};
use lifeboat_tests::{lifeboat, repository};
use serde_json::Value;

/// Each drill needs the machine to itself: its writers have a schedule to keep.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs `lifeboat drill dr-003 … --json`; its report must be the only thing on standard output.
fn drill(arguments: &[&str]) -> Result<Value> {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
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
    ensure!(report["format"] == "lifeboat.report/1" && report["verdict"] == "met", "{report:#}");
    ensure!(writes["loaded_rows"].as_u64() >= Some(200_000), "too few rows: {writes}");
    ensure!(writes["damaged_rows"].as_u64() >= Some(10_000), "too little damage: {writes}");
    for nothing in ["lost", "lost_loaded_rows", "unexpected", "raised_from_the_dead"] {
        ensure!(writes[nothing] == 0, "{nothing}: {writes}");
    }
    ensure!(report["rpo"]["residual_damage"] == 0, "{}", report["rpo"]);
    ensure!(report["rto"]["service_s"]["high"].as_f64() > Some(0.0), "an outage took no time: {}", report["rto"]);
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
    if let Err(reason) = available(Backend::Container) {
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
    ensure!(names == ["wrong-target-time", "no-op-restore"], "{names:?}");
    for control in controls {
        ensure!(control["turned_red"] == true && control["by"] == "residual_damage", "{control:#}");
    }
    let undisturbed = &report["control_run"];
    ensure!(undisturbed["passed"] == true, "{undisturbed:#}");
    ensure!(undisturbed["rto_s"]["low"] == 0.0 && undisturbed["rpo_s"]["low"] == 0.0, "{undisturbed:#}");
    Ok(())
}
