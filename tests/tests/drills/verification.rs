//! BV-001: backups and WAL are damaged where they are kept, and the verification names what is damaged.

use anyhow::{Context, Result, ensure};
use lifeboat_tests::rehearsal::{Rehearsal, alone};
use serde_json::Value;

use super::{failed, held};

const FILE: &str = "workflows/drills/bv-001.yaml";
const SMALL: [(&str, &str); 2] = [
    ("customers: 40000, orders: 60000, order_items: 110000", "customers: 4000, orders: 6000, order_items: 20000"),
    ("steady: 6s", "steady: 3s"),
];

/// How a routine had to end, how it ended, and whether that is right.
type End<'r> = (Option<&'r str>, &'r str, &'r str);

fn end(routine: &Value) -> Option<End<'_>> {
    Some((routine["fails_with"].as_str(), routine["outcome"].as_str()?, routine["verdict"].as_str()?))
}

fn ends(report: &Value) -> Result<Vec<End<'_>>> {
    Ok(report["routines"].as_array().context("routines")?.iter().filter_map(end).collect())
}

#[test]
fn each_damage_is_found_by_the_check_that_is_meant_for_it() -> Result<()> {
    let _alone = alone();
    let report = held(&Rehearsal::of(FILE, &SMALL)?, 0)?;
    ensure!(report["verdict"] == "met" && failed(&report).is_empty(), "{report:#}");
    let expected = [
        (None, "succeeded", "met"),
        (None, "succeeded", "met"),
        (Some("pg-backup-damaged"), "failed", "met"),
        (Some("pg-backup-damaged"), "failed", "met"),
        (Some("pg-seal-differs"), "rolled_back", "met"),
        (Some("pg-wal-damaged"), "failed", "met"),
        (Some("pg-wal-gap"), "failed", "met"),
        (Some("pg-wal-damaged"), "failed", "met"),
        (None, "succeeded", "met"),
    ];
    ensure!(ends(&report)? == expected, "{:#}", report["routines"]);
    ensure!(report["faults"].as_array().map(Vec::len) == Some(6), "{:#}", report["faults"]);
    Ok(())
}

/// A verification that is told to succeed on a damaged backup is a miss, and so is one that fails by another check than was meant.
#[test]
fn a_verification_that_ends_otherwise_is_a_miss() -> Result<()> {
    let _alone = alone();
    let (wrong, right) = ("fails_with: pg-seal-differs", "fails_with: pg-amcheck-failed");
    let report = held(&Rehearsal::of(FILE, &[&SMALL[..], &[(wrong, right)]].concat())?, 1)?;
    ensure!(report["verdict"] == "missed" && failed(&report) == ["routines-end-right"], "{report:#}");
    Ok(())
}
