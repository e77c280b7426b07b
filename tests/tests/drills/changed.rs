//! Drills of a wrong UPDATE, and of a TRUNCATE.

use anyhow::{Context, Result, ensure};
use lifeboat_tests::rehearsal::{Rehearsal, alone};

use super::{check_met, failed, held};

/// The shipped drill with a disaster that removes nothing.
fn rehearsal(controls: &str) -> Result<Rehearsal> {
    let control = format!("controls:\n{controls}");
    Rehearsal::changed(&[
        ("kind: accidental-deletion", "kind: rows-changed"),
        ("made_again: 10, accounts_closed: 5", "made_again: 0, accounts_closed: 0"),
        (
            "damaged_table: { fact: damaged_table },",
            "damaged_table: { fact: damaged_table }, damage: { fact: damage },",
        ),
        ("controls:\n", &control),
    ])
}

#[test]
fn values_come_back_and_what_was_written_since_stays() -> Result<()> {
    let _alone = alone();
    let report = held(&rehearsal("")?, 0)?;
    check_met(&report)?;
    let episode = &report["episodes"][0];
    ensure!(episode["outcome"] == "succeeded", "{episode:#}");
    let bite = episode["faults"][0]["bite"][0]["count"].as_u64().context("a bite")?;
    ensure!(bite >= 5900, "every order was changed: {bite}");
    let steps = episode["steps"].as_array().context("steps")?;
    let summary = |id: &str| steps.iter().find(|step| step["id"] == id).and_then(|step| step["summary"].as_str());
    // The application has changed and removed orders since: the runbook says how many, and none of them is touched.
    let merged = summary("merge").context("the merge")?;
    ensure!(
        merged.contains("rows have their older values again") && !merged.contains(" 0 were written since"),
        "{merged}"
    );
    let checks = report["checks"].as_array().context("checks")?;
    let copy = checks.iter().find(|check| check["name"] == "copy-removed").context("the copies are checked")?;
    ensure!(copy["detail"] == "nothing is left in the work folder", "{copy}");
    Ok(())
}

#[test]
fn values_that_stay_wrong_turn_the_drill_red() -> Result<()> {
    let _alone = alone();
    let control = "  - { name: skipped-values, step: merge, leaves_out: { collection: orders, each: 500 }, red_by: residual-damage }\n";
    let rehearsal = rehearsal(control)?;
    let report =
        super::broken::held_here(&rehearsal, |request| request.sabotage = request.spec.controls.first().cloned())?;
    ensure!(report["verdict"] == "missed", "{report:#}");
    let left = report["episodes"][0]["rpo"]["residual_damage"].as_u64();
    ensure!(left > Some(0) && left < Some(100), "a part is left: {left:?}");
    ensure!(failed(&report).contains(&"rows-equal-ledger"), "{}", report["checks"]);
    Ok(())
}

/// The rows of an emptied table come back, but for those whose orders the application has removed since.
#[test]
fn an_emptied_table_is_filled_again() -> Result<()> {
    let _alone = alone();
    let report = held(
        &Rehearsal::changed(&[
            ("kind: accidental-deletion", "kind: table-emptied"),
            ("made_again: 10, accounts_closed: 5", "made_again: 0, accounts_closed: 0"),
        ])?,
        0,
    )?;
    let episode = &report["episodes"][0];
    let bite = episode["faults"][0]["bite"][0]["count"].as_u64().context("a bite")?;
    ensure!(bite >= 8900 && episode["rpo"]["residual_damage"] == 0, "{episode:#}");
    check_met(&report)
}
