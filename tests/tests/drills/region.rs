//! DR-002: a region is lost, a standby in another one takes over, and the old primary comes back.

use anyhow::{Context, Result, ensure};
use lifeboat_tests::rehearsal::{Rehearsal, alone};
use serde_json::Value;

use super::{broken::held_here, failed, held};

const FILE: &str = "workflows/drills/dr-002.yaml";
const SPLIT: &str = "workflows/drills/dr-002-split.yaml";
const SYNCHRONOUS: &str = "workflows/drills/dr-002-sync.yaml";
const SMALL: [(&str, &str); 3] = [
    ("customers: 40000, orders: 60000, order_items: 110000", "customers: 4000, orders: 6000, order_items: 9000"),
    ("steady: 8s", "steady: 3s"),
    ("steady: 3s\n\n", "steady: 2s\n\n"),
];

fn small(file: &str, edits: &[(&str, &str)]) -> Result<Rehearsal> {
    Rehearsal::of(file, &[&SMALL, edits].concat())
}

fn step<'r>(report: &'r Value, id: &str) -> Result<&'r Value> {
    let steps = report["episodes"][0]["steps"].as_array().context("steps")?;
    steps.iter().find(|step| step["id"] == id).with_context(|| format!("no {id} in {steps:#?}"))
}

fn check_failover(report: &Value) -> Result<()> {
    ensure!(report["verdict"] == "met" && failed(report).is_empty(), "{report:#}");
    ensure!(report["episodes"][0]["outcome"] == "succeeded", "{report:#}");
    ensure!(report["episodes"][0]["instants"]["t_onset"].is_string(), "the outage was not seen: {report:#}");
    ensure!(report["episodes"][0]["rto"]["service_s"]["high"].as_f64() > Some(0.0), "an outage took no time");
    ensure!(step(report, "word")?["state"] == "skipped", "with a proof nobody is asked: {report:#}");
    let checks = report["checks"].as_array().context("checks")?;
    for name in ["lost-writes-are-the-newest", "keys-given-once", "one-primary", "new-timeline-backed-up"] {
        ensure!(checks.iter().any(|check| check["name"] == name), "{name} was not checked");
    }
    Ok(())
}

/// What is lost is the end of what was acknowledged, and nothing else; the old primary comes back and takes no write.
#[test]
fn a_lost_region_is_served_by_the_other_one() -> Result<()> {
    let _alone = alone();
    let report = held(&small(FILE, &[])?, 0)?;
    check_failover(&report)?;
    ensure!(report["episodes"][0]["rpo"]["actual_s"]["high"].as_f64() < Some(900.0), "{report:#}");
    Ok(())
}

#[test]
fn where_commits_wait_for_the_standby_nothing_is_lost() -> Result<()> {
    let _alone = alone();
    let report = held(&small(SYNCHRONOUS, &[])?, 0)?;
    check_failover(&report)?;
    ensure!(report["writes"]["lost"] == 0 && report["writes"]["unexpected"] == 0, "{}", report["writes"]);
    let checks = report["checks"].as_array().context("checks")?;
    ensure!(checks.iter().any(|check| check["name"] == "synchronous-writes-survive"), "{checks:#?}");
    Ok(())
}

/// Nothing is wrong until the lost region comes back with what ran in it.
#[test]
fn an_old_primary_that_was_not_fenced_is_seen_as_a_second_one() -> Result<()> {
    let _alone = alone();
    let report = held_here(&small(FILE, &[])?, |request| request.sabotage = request.spec.controls.first().cloned())?;
    ensure!(report["verdict"] == "missed" && failed(&report).contains(&"one-primary"), "{report:#}");
    Ok(())
}

/// The old primary runs and is written to, out of reach for everybody but the platform.
#[test]
fn a_region_that_is_cut_off_and_goes_on_is_fenced_before_the_promotion() -> Result<()> {
    let _alone = alone();
    let report = held(&small(SPLIT, &[])?, 0)?;
    check_failover(&report)?;
    let checks = report["checks"].as_array().context("checks")?;
    let elsewhere = checks.iter().find(|check| check["name"] == "nothing-acknowledged-elsewhere").context("a check")?;
    ensure!(elsewhere["detail"].as_str().is_some_and(|text| text.ends_with("and 0 afterwards")), "{elsewhere:#}");
    ensure!(
        step(&report, "fence")?["summary"].as_str().is_some_and(|text| text.contains("it ran and was ended")),
        "{report:#}"
    );
    Ok(())
}

#[test]
fn without_a_fence_a_region_that_goes_on_is_a_second_primary() -> Result<()> {
    let _alone = alone();
    let report = held_here(&small(SPLIT, &[])?, |request| request.sabotage = request.spec.controls.first().cloned())?;
    ensure!(report["verdict"] == "missed" && failed(&report).contains(&"nothing-acknowledged-elsewhere"), "{report:#}");
    Ok(())
}

/// The host of the old primary is not where the bindings say: nothing is proven, so a person is asked, and the report says what came of it.
#[test]
fn without_a_proof_a_person_decides() -> Result<()> {
    let _alone = alone();
    let roles =
        ("roles: { primary: east, standby: west }", "roles: { primary: east, standby: west, old_host: recovery }");
    let report = held(&small(FILE, &[roles])?, 1)?;
    ensure!(step(&report, "word")?["state"] == "succeeded", "somebody was asked: {report:#}");
    ensure!(report["episodes"][0]["outcome"] == "succeeded" && failed(&report) == ["one-primary"], "{report:#}");
    Ok(())
}
