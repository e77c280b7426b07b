//! DR-004: an intruder encrypts and plants, and the application moves to a new server with everything that was good.

use anyhow::{Context, Result, ensure};
use lifeboat_tests::rehearsal::{Rehearsal, alone};
use serde_json::Value;

use super::{broken::held_here, check_met, failed, held};

const FILE: &str = "workflows/drills/dr-004.yaml";
const SMALL: [(&str, &str); 2] = [
    ("customers: 20000, orders: 20000, order_items: 40000", "customers: 5000, orders: 5000, order_items: 8000"),
    ("steady: 6s", "steady: 3s"),
];

fn detail<'r>(report: &'r Value, name: &str) -> Result<&'r str> {
    let checks = report["checks"].as_array().context("checks")?;
    let check = checks.iter().find(|check| check["name"] == name).with_context(|| format!("no check {name}"))?;
    check["detail"].as_str().context("a detail")
}

#[test]
fn a_new_server_has_everything_that_was_good_and_nothing_of_the_intruder() -> Result<()> {
    let _alone = alone();
    let report = held(&Rehearsal::of(FILE, &SMALL)?, 0)?;
    check_met(&report)?;
    let planted = detail(&report, "nothing-planted-is-left")?;
    ensure!(planted == "clean has none of the 7 things that the intruder has planted", "{planted}");
    let stolen = detail(&report, "stolen-passwords-refused")?;
    ensure!(stolen == "clean refuses each of 3 stolen passwords", "{stolen}");
    Ok(())
}

/// Definitions from the end bring along what was planted, although the new server defines exactly what that copy does.
#[test]
fn definitions_from_the_end_bring_along_what_was_planted() -> Result<()> {
    let _alone = alone();
    let rehearsal = Rehearsal::of(FILE, &SMALL)?;
    let report = held_here(&rehearsal, |request| request.sabotage = request.spec.controls.first().cloned())?;
    ensure!(report["verdict"] == "missed", "{report:#}");
    ensure!(failed(&report).contains(&"nothing-planted-is-left"), "{}", report["checks"]);
    let planted = detail(&report, "nothing-planted-is-left")?;
    ensure!(planted.contains("the trigger zz_audit on orders"), "{planted}");
    Ok(())
}
