//! Drills with other timelines: two regions in which nothing has to be recovered, and the same disaster twice.

use std::fs;

use anyhow::{Context, Result, ensure};
use lifeboat_simulator::testbed::{Backend, at_hand};
use lifeboat_tests::{
    lifeboat,
    rehearsal::{Rehearsal, alone},
    repository,
};
use serde_json::Value;

use super::{held, held_on};

const SHIPPED: &str = "workflows/drills/standby-lag.yaml";
/// A disk that stalls for seconds is no news about regions: the bounds of the shipped drill, wider.
const PATIENT: [(&str, &str); 7] = [
    ("answer_within: 2s", "answer_within: 15s"),
    ("during: 4s, at_most: 1s", "during: 4s, at_most: 20s"),
    ("at_least: 200ms, at_most: 3s", "at_least: 200ms, at_most: 20s"),
    ("during: 4s, at_most: 5s", "during: 4s, at_most: 30s"),
    ("within: 20s", "within: 60s"),
    ("within: 30s", "within: 60s"),
    ("within: 30s", "within: 60s"),
];

fn check_lags(report: &Value) -> Result<()> {
    ensure!(report["verdict"] == "met" && report["episodes"].as_array().is_some_and(Vec::is_empty), "{report:#}");
    let lags = report["lags"].as_array().context("lags")?;
    let during: Vec<_> = lags.iter().map(|lag| lag["faults"][0].as_str()).collect();
    ensure!(during == [None, Some("delay"), Some("loss"), None, Some("partition"), None, None], "{during:?}");
    for lag in lags {
        ensure!(lag["verdict"] == "met" && lag["sightings"].as_u64() > Some(0), "{lag:#}");
        ensure!(lag["longest_s"]["high"].as_f64() >= lag["longest_s"]["low"].as_f64(), "{lag:#}");
        let has_caught_up = lag["caught_up_s"]["high"].is_number();
        ensure!(has_caught_up == lag["within_s"].is_number(), "{lag:#}");
    }
    let low = |place: usize| lags[place]["longest_s"]["low"].as_f64();
    ensure!(low(1) >= Some(0.2) && low(4) >= Some(3.0), "the faults slowed it: {lags:#?}");
    let checks = report["checks"].as_array().context("checks")?;
    let failed: Vec<_> = checks.iter().filter(|check| check["passed"] != true).collect();
    ensure!(failed.is_empty(), "{failed:#?}");
    let names: Vec<_> = checks.iter().filter_map(|check| check["name"].as_str()).collect();
    for name in ["faults-had-effect", "service-undisturbed", "standbys-agree", "rows-equal-ledger"] {
        ensure!(names.contains(&name), "{name} was not checked: {names:?}");
    }
    ensure!(report["writes"]["lost"] == 0 && report["writes"]["acknowledged"].as_u64() > Some(1000), "{report:#}");
    Ok(())
}

#[test]
fn two_regions_on_processes() -> Result<()> {
    let _alone = alone();
    let rehearsal = Rehearsal::of(SHIPPED, &PATIENT)?;
    let report = held_on(&rehearsal, "process", 0)?;
    check_lags(&report)?;
    let run = rehearsal.runs()?.pop().context("a folder")?;
    ensure!(fs::read_to_string(run.join("standbys.jsonl"))?.lines().count() > 100, "each look is kept");
    ensure!(fs::read_to_string(run.join("report.html"))?.contains("Nothing had to be recovered."), "the page says so");
    // It is no run of an engine, and what lists these has no trouble with it.
    let listed = std::process::Command::new(lifeboat())
        .args(["runs"])
        .env("LIFEBOAT_HOME", rehearsal.state())
        .current_dir(repository())
        .output()?;
    ensure!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let told = std::process::Command::new(lifeboat())
        .args(["report", "last"])
        .env("LIFEBOAT_HOME", rehearsal.state())
        .current_dir(repository())
        .output()?;
    let lines = String::from_utf8_lossy(&told.stdout);
    ensure!(told.status.success() && lines.contains("standby-lag"), "{lines}{}", String::from_utf8_lossy(&told.stderr));
    Ok(())
}

#[test]
fn two_regions_on_containers() -> Result<()> {
    if let Err(reason) = at_hand(Backend::Container) {
        // Standard error of a passing test is not shown: `make test` says it once more at its end.
        eprintln!("SKIPPED: {reason}");
        return Ok(());
    }
    let _alone = alone();
    let rehearsal = Rehearsal::of(SHIPPED, &PATIENT)?;
    check_lags(&held_on(&rehearsal, "container", 0)?)
}

/// A standby that is still cut off has not caught up, whatever else is well.
#[test]
fn a_standby_that_stays_behind_turns_the_drill_red() -> Result<()> {
    let _alone = alone();
    let (head, rest) = ("timeline:\n", fs::read_to_string(repository().join(SHIPPED))?);
    let timeline = rest.split_once(head).context("a timeline")?.1.to_owned();
    let short = "  - steady: 2s\n  - fault: { kind: partition, from: east, to: west, one_way: true }\n  \
                 - lag: { of: west, within: 3s, at_most: 1s }\n";
    let rehearsal = Rehearsal::of(SHIPPED, &[(&timeline, short), PATIENT[0]])?;
    let report = held(&rehearsal, 1)?;
    ensure!(report["verdict"] == "missed" && report["lags"][0]["verdict"] == "missed", "{report:#}");
    ensure!(report["lags"][0]["caught_up_s"]["high"].is_null(), "it never did: {}", report["lags"]);
    // What is still open is healed at the end, so the rows came after all.
    let checks = report["checks"].as_array().context("checks")?;
    ensure!(checks.iter().all(|check| check["passed"] == true), "{checks:#?}");
    Ok(())
}

/// The same mistake again after the recovery: a second episode, which finds its own transaction and puts its rows back.
#[test]
fn two_disasters_are_two_episodes() -> Result<()> {
    let _alone = alone();
    let shipped = fs::read_to_string(repository().join("workflows/drills/dr-003.yaml"))?;
    let (_, fault) = shipped.split_once("  - steady: 8s\n").context("a steady time")?;
    let (moments, _) = fault.split_once("\n# Known breakages").context("controls")?;
    let again = format!("{moments}  - steady: 2s\n{moments}");
    let rehearsal = Rehearsal::changed(&[
        (moments, &again),
        ("habits: { made_again: 10, accounts_closed: 5 }", "habits: { made_again: 0, accounts_closed: 0 }"),
    ])?;
    let report = held(&rehearsal, 0)?;
    let episodes = report["episodes"].as_array().context("episodes")?;
    ensure!(report["verdict"] == "met" && episodes.len() == 2, "{report:#}");
    for episode in episodes {
        ensure!(episode["outcome"] == "succeeded" && episode["rpo"]["residual_damage"] == 0, "{episode:#}");
        ensure!(episode["rto"]["service_s"]["low"].as_f64() > Some(0.0), "{}", episode["rto"]);
    }
    ensure!(episodes[0]["run"] != episodes[1]["run"], "each has a run of its own");
    ensure!(episodes[0]["instants"]["t_stable"].as_str() < episodes[1]["instants"]["T_c"].as_str(), "in turn");
    let story = |place: usize| episodes[place]["faults"][0]["story"].as_str();
    ensure!(story(0) != story(1), "two transactions: {:?}", story(0));
    let checks = report["checks"].as_array().context("checks")?;
    let of = |number: u64| checks.iter().filter(|check| check["episode"] == number).count();
    ensure!(of(1) == of(2) && of(1) > 0, "each episode has its checks: {checks:#?}");
    Ok(())
}
