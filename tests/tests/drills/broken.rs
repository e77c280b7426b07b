//! Drills that must not be met: each has a known breakage, or something happens to it that no recovery can mend.

use std::fs;

use anyhow::{Context, Result, ensure};
use lifeboat_simulator::{
    controls::{Breakage, Control},
    drill::{self, DrillRequest, Unwatched},
    testbed::{Backend, available},
};
use lifeboat_tests::{
    rehearsal::{Rehearsal, alone, kill_server},
    repository,
};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{checks_where, failed, held, whole};

/// Recoveries that never begin are waited for no longer than this.
const NO_RECOVERY: (&str, &str) = ("at_most: 10m", "at_most: 2s");

/// Holds a drill in this process, with what no file can say; gives its report.
pub(super) fn held_here(rehearsal: &Rehearsal, change: impl FnOnce(&mut DrillRequest)) -> Result<Value> {
    available(Backend::Process)?;
    let mut request = rehearsal.request()?;
    change(&mut request);
    let report = Runtime::new()?.block_on(drill::run(request, &Unwatched))?;
    whole(&rehearsal.state().join("runs").join(report.run))
}

#[test]
fn a_merge_that_skips_rows_turns_the_drill_red() -> Result<()> {
    let _alone = alone();
    let control = "controls:\n  - { name: skipped-rows, step: merge, leaves_out: { collection: order_items, each: 1000 }, \
        red_by: residual-damage }\n";
    let rehearsal = Rehearsal::changed(&[("controls:\n", control)])?;
    let report = held_here(&rehearsal, |request| request.sabotage = request.spec.controls.first().cloned())?;
    ensure!(report["verdict"] == "missed", "{report:#}");
    let rpo = &report["episodes"][0]["rpo"];
    ensure!(rpo["residual_damage"].as_u64() > Some(0), "{rpo}");
    ensure!(failed(&report).contains(&"rows-equal-ledger"), "{}", report["checks"]);
    Ok(())
}

#[test]
fn a_ledger_that_loses_an_acknowledgement_turns_the_drill_red() -> Result<()> {
    let _alone = alone();
    let lost = Control {
        name: "lost-acknowledgement".to_owned(),
        step: None,
        breakage: Breakage::LosesAcknowledgement(100),
        red_by: "residual-damage".to_owned(),
    };
    let report = held_here(&Rehearsal::small()?, |request| request.sabotage = Some(lost))?;
    ensure!(report["verdict"] != "met", "{report:#}");
    let failed = failed(&report);
    let evidence: Vec<_> =
        checks_where(&report, "kind", "evidence").into_iter().filter(|name| failed.contains(name)).collect();
    ensure!(evidence == ["ledger-complete"], "{}", report["checks"]);
    Ok(())
}

#[test]
fn a_disaster_that_nobody_notices_is_a_miss_and_no_recovery_time() -> Result<()> {
    let _alone = alone();
    let report = held(&Rehearsal::changed(&[("detect_after: 3", "detect_after: 1000"), NO_RECOVERY])?, 1)?;
    ensure!(report["verdict"] == "missed", "{report:#}");
    let (episode, rto) = (&report["episodes"][0], &report["episodes"][0]["rto"]);
    ensure!(episode["outcome"] == "not_started", "{episode:#}");
    ensure!(episode["rpo"]["residual_damage"].as_u64() >= Some(1200), "{}", episode["rpo"]);
    // An outage without an end was seen for some seconds, and the objective is an hour: the rows that are gone make the miss.
    ensure!(rto["service_s"]["low"].as_f64() > Some(0.0) && rto["service_s"]["high"].is_null(), "{rto}");
    ensure!(rto["verdict"] == "unmeasured" && rto["missing"].is_string(), "{rto}");
    ensure!(failed(&report).contains(&"runbook-succeeded"), "{}", report["checks"]);
    Ok(())
}

/// Probes that look at no row of the disaster do not see it: then nothing was measured, whatever became of the rows. A drill file must
/// name some.
#[test]
fn a_fault_that_no_probe_sees_measures_no_recovery_time() -> Result<()> {
    let _alone = alone();
    let rehearsal = Rehearsal::changed(&[NO_RECOVERY])?;
    let report = held_here(&rehearsal, |request| request.spec.probes.sampled_customers = 0)?;
    let rto = &report["episodes"][0]["rto"];
    ensure!(rto["service_s"].is_null() && rto["verdict"] == "unmeasured", "{rto}");
    ensure!(failed(&report).contains(&"fault-was-seen"), "{}", report["checks"]);
    ensure!(report["verdict"] == "missed", "the rows are gone, which the full read has seen: {report:#}");
    Ok(())
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
    let run = rehearsal.runs()?.pop().context("a run")?;
    let report = whole(&run)?;
    let printed: Value = serde_json::from_str(&ended.out).with_context(|| ended.said.clone())?;
    ensure!(report == printed, "another report is kept than is printed");
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
    let failed = failed(&report);
    for name in ["rows-equal-ledger", "endpoints-agree", "marker-survives", "runbook-succeeded"] {
        ensure!(failed.contains(&name), "{name} is green: {failed:?}");
    }
    ensure!(fs::metadata(run.join("journal.jsonl"))?.len() > 0, "the journal is empty");
    ensure!(rehearsal.left()?.is_empty(), "left behind: {:?}", rehearsal.left()?);
    Ok(())
}

/// The runbook looks in another table than the damaged one. It says so and changes nothing: a miss.
#[test]
fn a_disaster_that_the_runbook_refuses_is_a_miss() -> Result<()> {
    let _alone = alone();
    let rehearsal = Rehearsal::changed(&[
        ("kind: accidental-deletion", "kind: table-emptied"),
        ("habits: { made_again: 10, accounts_closed: 5 }", "habits: { made_again: 0, accounts_closed: 0 }"),
        ("runbook: ../dr-003-accidental-deletion.yaml", "runbook: wrong-table.yaml"),
    ])?;
    let shipped = fs::read_to_string(repository().join("workflows/dr-003-accidental-deletion.yaml"))?;
    let wrong = shipped.replacen("table: \"${{ inputs.damaged_table }}\"", "table: public.heartbeats", 1);
    fs::write(rehearsal.file().with_file_name("wrong-table.yaml"), wrong)?;
    let report = held(&rehearsal, 1)?;
    let episode = &report["episodes"][0];
    ensure!(report["verdict"] == "missed" && episode["outcome"] == "failed", "{episode:#}");
    let (bite, left) = (&episode["faults"][0]["bite"][0]["count"], &episode["rpo"]["residual_damage"]);
    // The application has deleted orders since, and their items with them: these should be away.
    let stays_away = left.as_u64() > Some(8000) && left.as_u64() <= bite.as_u64();
    ensure!(bite.as_u64() >= Some(9000) && stays_away, "the rows stay away: {bite} {left}");
    let steps = episode["steps"].as_array().context("steps")?;
    let state = |id: &str| steps.iter().find(|step| step["id"] == id).map(|step| (&step["state"], &step["summary"]));
    let (state_of_find, said) = state("find").context("the search")?;
    ensure!(*state_of_find == "failed" && said.as_str().is_some_and(|said| said.contains("heartbeats")), "{said}");
    for changing in ["restore", "merge", "settle"] {
        ensure!(state(changing).is_some_and(|(state, _)| state == "cancelled"), "{changing} has run: {steps:#?}");
    }
    ensure!(report["writes"]["unexpected"] == 0, "nothing was put back: {}", report["writes"]);
    ensure!(failed(&report).contains(&"runbook-succeeded"), "{}", report["checks"]);
    Ok(())
}
