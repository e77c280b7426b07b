//! The named checks: evidence that the drill proves something, and that the recovery is right.

use std::collections::BTreeSet;

use super::{evidence::Evidence, spec::DrillSpec, variant::Variant};
use crate::{
    ledger::{Operation, RowKey, Table, WriteOutcome},
    measurement::{Losses, ProbeKind},
    report::{Check, CheckKind},
    testbed::Signature,
};

/// Everything that checks look at.
pub(super) struct Looked<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) losses: &'a Losses,
    pub(super) spec: &'a DrillSpec,
    pub(super) variant: &'a Variant,
}

/// All checks of a holding.
pub(super) fn checks(looked: &Looked<'_>) -> Vec<Check> {
    let mut found = vec![
        enough_writes(looked),
        all_kinds_of_writes(looked),
        healthy_before(looked),
        ledger_complete(looked),
        rows_equal_ledger(looked),
        endpoints_agree(looked),
    ];
    if looked.variant.fault {
        found.extend([
            target_empty_before(looked),
            marker_is_younger(looked),
            fault_took_rows(looked),
            fault_was_seen(looked),
            writers_ran(looked),
            marker_survives(looked),
            runbook_succeeded(looked),
            copy_removed(looked),
            people_told(looked),
        ]);
    }
    found
}

fn check(name: &str, kind: CheckKind, passed: bool, detail: impl Into<String>) -> Check {
    Check { name: name.to_owned(), kind, passed, detail: detail.into() }
}

fn evidence(name: &str, passed: bool, detail: impl Into<String>) -> Check {
    check(name, CheckKind::Evidence, passed, detail)
}

fn result(name: &str, passed: bool, detail: impl Into<String>) -> Check {
    check(name, CheckKind::Result, passed, detail)
}

/// Half of what the schedule asks for is enough to see a loss; less is another load than the drill says it is.
fn enough_writes(looked: &Looked<'_>) -> Check {
    let Evidence { steady_from, steady_until, .. } = *looked.evidence;
    let seconds = steady_until.seconds_since(steady_from);
    let wanted = seconds * f64::from(looked.spec.workload.writes_per_second) / 2.0;
    let acknowledged = looked.evidence.acknowledged_between(steady_from, steady_until);
    let detail =
        format!("{acknowledged} writes acknowledged in {seconds:.1} s before the fault, at least {wanted:.0} wanted");
    evidence("enough-writes-before-fault", acknowledged as f64 >= wanted && acknowledged > 0, detail)
}

fn all_kinds_of_writes(looked: &Looked<'_>) -> Check {
    let before = looked.evidence.history.acknowledged().filter(|(at, _)| *at <= looked.evidence.steady_until);
    let kinds = before.filter_map(|(_, write)| Some((write.operation as u8, write.rows.first()?.table)));
    let kinds: BTreeSet<(u8, Table)> = kinds.collect();
    let wanted = Table::ALL.into_iter().flat_map(|table| {
        let delete = (table != Table::Customers).then_some(Operation::Delete);
        [Some(Operation::Insert), Some(Operation::Update), delete].into_iter().flatten().map(move |kind| (kind, table))
    });
    let missing = wanted.filter(|(kind, table)| !kinds.contains(&(*kind as u8, *table)));
    let missing: Vec<String> = missing.map(|(kind, table)| format!("{kind:?} of {}", table.name())).collect();
    let detail = if missing.is_empty() {
        "inserts, updates and deletes over all tables".to_owned()
    } else {
        format!("none: {}", missing.join(", "))
    };
    evidence("every-kind-of-write-before-fault", missing.is_empty(), detail)
}

fn healthy_before(looked: &Looked<'_>) -> Check {
    let before = || looked.evidence.probes.iter().filter(|probe| probe.ended < looked.evidence.steady_until);
    let slowest = looked.evidence.rule.slowest;
    let failed = before().find(|probe| !probe.ok || probe.ended > probe.started + slowest);
    let lanes: BTreeSet<ProbeKind> = before().map(|probe| probe.kind).collect();
    let all = lanes.len() == ProbeKind::ALL.len();
    let detail = failed.map_or_else(
        || format!("{} probes of {} kinds, all good", before().count(), lanes.len()),
        |probe| format!("{}: {}", probe.kind.title(), probe.detail.as_deref().unwrap_or("failed or too slow")),
    );
    evidence("healthy-before-fault", failed.is_none() && all, detail)
}

/// Each write has an answer, and the ledger holds as many acknowledgements as the writers handed in.
fn ledger_complete(looked: &Looked<'_>) -> Check {
    let pending = looked.evidence.pending();
    let written = looked.evidence.history.count(WriteOutcome::Ok) as u64;
    let writers = looked.evidence.writers.acknowledged + 1;
    let handed_in = looked.evidence.handed_in;
    let passed = pending == 0 && written == handed_in && writers == handed_in;
    let detail = format!(
        "{written} acknowledgements on disk, {handed_in} handed in, {writers} seen by the writers; {pending} writes without an answer"
    );
    evidence("ledger-complete", passed, detail)
}

fn target_empty_before(looked: &Looked<'_>) -> Check {
    let before = &looked.evidence.instances_before;
    let detail = if before.is_empty() { "no instance in the work folder".to_owned() } else { format!("{before:?}") };
    evidence("restore-target-empty-before", before.is_empty(), detail)
}

fn marker_is_younger(looked: &Looked<'_>) -> Check {
    let marker = looked
        .evidence
        .history
        .acknowledged()
        .find(|(_, write)| is_marker(looked, write.rows.first().and_then(|row| row.key())));
    let passed = marker.is_some_and(|(_, write)| write.invoked > looked.evidence.backup_ended);
    let detail = format!(
        "order {} was written after the base backup {} had ended",
        looked.evidence.marker, looked.evidence.backup.label
    );
    evidence("marker-after-base-backup", passed, detail)
}

fn is_marker(looked: &Looked<'_>, key: Option<RowKey>) -> bool {
    key == Some(RowKey { table: Table::Orders, id: looked.evidence.marker })
}

fn fault_took_rows(looked: &Looked<'_>) -> Check {
    let Some(deletion) = &looked.evidence.deletion else {
        return evidence("fault-took-rows", false, "there was no fault");
    };
    let parents = deletion.removed.get(&Table::Customers).copied().unwrap_or(0);
    let passed = parents == looked.variant.size.damaged_customers
        && Table::ALL.iter().all(|table| deletion.removed.get(table).is_some_and(|rows| *rows > 0));
    let by_table: Vec<String> =
        deletion.removed.iter().map(|(table, rows)| format!("{rows} {}", table.name())).collect();
    evidence("fault-took-rows", passed, format!("transaction {} removed {}", deletion.xid, by_table.join(", ")))
}

fn fault_was_seen(looked: &Looked<'_>) -> Check {
    let began = looked.evidence.deletion.as_ref().map(|deletion| deletion.began);
    let seen = looked
        .evidence
        .probes
        .iter()
        .find(|probe| !probe.ok && probe.kind == ProbeKind::Content && Some(probe.ended) > began);
    let detail = seen.and_then(|probe| probe.detail.clone()).unwrap_or_else(|| "no content probe failed".to_owned());
    evidence("fault-was-seen", seen.is_some(), detail)
}

/// The recovery ran beside the application: writes were acknowledged while the rows were being put back.
fn writers_ran(looked: &Looked<'_>) -> Check {
    let step = &looked.spec.restored_by;
    let (from, until) = (looked.evidence.step_started(step), looked.evidence.step_succeeded(step));
    let Some((from, until)) = from.zip(until) else {
        return evidence("writers-ran-during-merge", false, format!("step {step} did not succeed"));
    };
    let acknowledged = looked.evidence.acknowledged_between(from, until);
    let detail = format!("{acknowledged} writes acknowledged in the {:.2} s of step {step}", until.seconds_since(from));
    evidence("writers-ran-during-merge", acknowledged > 0, detail)
}

fn marker_survives(looked: &Looked<'_>) -> Check {
    let key = RowKey { table: Table::Orders, id: looked.evidence.marker };
    let passed =
        looked.evidence.state.get(&key).is_some_and(|row| row.intact) && !looked.losses.wrong_rows.contains(&key);
    let detail = if passed { "it is there with its content" } else { "it is missing or wrong" };
    result("marker-survives", passed, detail)
}

fn rows_equal_ledger(looked: &Looked<'_>) -> Check {
    let losses = looked.losses;
    let passed = losses.wrong_rows.is_empty() && losses.unexpected.is_empty();
    let some: Vec<String> = losses.wrong_rows.iter().take(3).map(ToString::to_string).collect();
    let strange: Vec<String> =
        losses.unexpected.iter().take(3).map(|row| format!("{} {:?}", row.key, row.kind)).collect();
    let detail = if passed {
        format!("{} rows, each as the ledger says", looked.evidence.state.len())
    } else {
        let wrong = losses.wrong_rows.len();
        format!(
            "{wrong} rows differ ({}), {} are unexpected ({})",
            some.join(", "),
            losses.unexpected.len(),
            strange.join(", ")
        )
    };
    result("rows-equal-ledger", passed, detail)
}

fn endpoints_agree(looked: &Looked<'_>) -> Check {
    let (state, direct) = (&looked.evidence.state, &looked.evidence.direct);
    let differing = direct.iter().filter(|(key, row)| state.get(key) != Some(row)).count()
        + state.keys().filter(|key| !direct.contains_key(key)).count();
    let detail =
        format!("{} rows on the application's path, {} directly, {differing} differ", state.len(), direct.len());
    result("endpoints-agree", differing == 0 && !state.is_empty(), detail)
}

fn runbook_succeeded(looked: &Looked<'_>) -> Check {
    let outcome = looked.evidence.outcome();
    let why = looked.evidence.engine_error().or_else(|| looked.evidence.step_failure());
    let detail =
        why.map_or_else(|| format!("the run ended {outcome}"), |why| format!("the run ended {outcome}: {why}"));
    result("runbook-succeeded", outcome == "succeeded", detail)
}

fn copy_removed(looked: &Looked<'_>) -> Check {
    let after = &looked.evidence.instances_after;
    let detail =
        if after.is_empty() { "no instance is left in the work folder".to_owned() } else { format!("left: {after:?}") };
    result("copy-removed", after.is_empty(), detail)
}

fn people_told(looked: &Looked<'_>) -> Check {
    let sent = &looked.evidence.notifications;
    let signed = sent.iter().filter(|sent| sent.signature == Signature::Valid).count();
    let detail = format!("{signed} of {} notifications arrived with a valid signature", sent.len());
    result("people-told", signed > 0 && signed == sent.len(), detail)
}
