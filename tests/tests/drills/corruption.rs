//! DR-001: pages are damaged on disk, in an index and then in a table, and the runbook chooses by what it finds.

use anyhow::{Context, Result, ensure};
use lifeboat_tests::rehearsal::{Rehearsal, alone};
use serde_json::Value;

use super::{check_met, held};

const FILE: &str = "workflows/drills/dr-001.yaml";
/// What a step with a list says that had nothing to do, and one that had.
const NOTHING: &str = "no items";
const ONCE: &str = "1 item";
const SMALL: [(&str, &str); 4] = [
    (
        "customers: 40000, orders: 60000, order_items: 110000, damaged_customers: 1000",
        "customers: 4000, orders: 6000, order_items: 9000, damaged_customers: 200",
    ),
    ("steady: 8s", "steady: 3s"),
    ("steady: 8s", "steady: 3s"),
    ("stable: 5s", "stable: 2s"),
];

fn small(edits: &[(&str, &str)]) -> Result<Rehearsal> {
    Rehearsal::of(FILE, &[&SMALL, edits].concat())
}

/// What a step of an episode said at its end.
fn summary<'a>(report: &'a Value, episode: usize, step: &str) -> Result<&'a str> {
    let steps = report["episodes"][episode]["steps"].as_array().context("steps")?;
    let found = steps.iter().find(|found| found["id"] == step);
    found.and_then(|found| found["summary"].as_str()).with_context(|| format!("no {step} in {steps:#?}"))
}

/// An index that lacks rows is found although all of its pages are as they were written, and nothing is restored for it. A page whose header
/// says nothing is the last version by the WAL alone.
#[test]
fn what_is_damaged_decides_what_is_done() -> Result<()> {
    let _alone = alone();
    let index = ("kind: page-damaged, part: index, how: bit-flip", "kind: index-incomplete");
    let heap = ("part: heap, how: bit-flip", "part: heap, how: header");
    let report = held(&small(&[index, heap])?, 0)?;
    check_met(&report)?;
    ensure!(report["episodes"].as_array().map(Vec::len) == Some(2), "{report:#}");
    for (episode, repair) in [(0, NOTHING), (1, ONCE)] {
        ensure!(report["episodes"][episode]["outcome"] == "succeeded", "{report:#}");
        ensure!(summary(&report, episode, "repair")? == repair, "{report:#}");
        ensure!(report["episodes"][episode]["rpo"]["residual_damage"] == 0, "{report:#}");
    }
    Ok(())
}
