//! The drill that ships with its controls, on processes.

use std::fs;

use anyhow::{Context, Result, ensure};
use lifeboat_tests::rehearsal::alone;

use super::{check_met_in_full, failed, shipped, whole};

#[test]
fn controls_turn_red_and_the_run_without_a_fault_measures_nothing() -> Result<()> {
    let _alone = alone();
    let (report, folder, _home) = shipped(&["--testbed", "process", "--controls"])?;
    check_met_in_full(&report)?;
    let controls = report["controls"].as_array().context("controls")?;
    let names: Vec<_> = controls.iter().filter_map(|control| control["name"].as_str()).collect();
    ensure!(names == ["wrong-target-time", "no-op-restore", "overwritten-keys"], "{names:?}");
    for control in controls {
        ensure!(control["turned_red"] == true && control["by"] == "residual-damage", "{control:#}");
    }
    let undisturbed = &report["control_run"];
    ensure!(undisturbed["passed"] == true, "{undisturbed:#}");
    ensure!(undisturbed["rto_s"]["low"] == 0.0 && undisturbed["rpo_s"]["low"] == 0.0, "{undisturbed:#}");

    // Each holding has a report of its own: that of rows made again which are overwritten tells what it is red by.
    let runs = folder.join("controls/overwritten-keys/runs");
    let run = fs::read_dir(runs)?.next().context("the control has a run")??.path();
    let overwritten = whole(&run)?;
    ensure!(overwritten["verdict"] == "missed", "{overwritten:#}");
    let rpo = &overwritten["episodes"][0]["rpo"];
    ensure!(rpo["residual_damage"] == 10, "{rpo}");
    ensure!(failed(&overwritten).contains(&"newer-rows-stay"), "{}", overwritten["checks"]);
    Ok(())
}
