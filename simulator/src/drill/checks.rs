//! The named checks: evidence that the drill proves something, and that the recovery is right.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::{evidence::Evidence, recovery_checks::recovery_checks, spec::DrillSpec, steady, variant::Variant};
use crate::{
    ledger::{Operation, Table, WriteOutcome},
    measurement::{Losses, ProbeKind},
    report::{Check, CheckKind},
};

/// Everything that checks look at.
pub(super) struct Looked<'a> {
    pub(super) evidence: &'a Evidence,
    /// `None` where the tables could not be read.
    pub(super) losses: Option<&'a Losses>,
    pub(super) spec: &'a DrillSpec,
    pub(super) variant: &'a Variant,
    /// The steps that tell people something.
    pub(super) telling: &'a [String],
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
        found.extend(recovery_checks(looked));
    }
    if looked.evidence.out_of_time() {
        found.iter_mut().for_each(|check| leave_open(check, looked.spec));
    }
    found
}

/// The drill has ended the recovery itself: what is not right yet might have become so.
fn leave_open(check: &mut Check, spec: &DrillSpec) {
    if check.kind == CheckKind::Result && !check.passed {
        let at_most = spec.windows.recovery_at_most;
        check.measured = false;
        check.detail = format!(
            "not measured: the drill gives a recovery {at_most:?} and ended this one then; until then, {}",
            check.detail
        );
    }
}

fn check(name: &str, kind: CheckKind, passed: bool, detail: impl Into<String>) -> Check {
    Check { name: name.to_owned(), kind, passed, measured: true, detail: detail.into() }
}

/// Without it the drill proves nothing.
pub(super) fn evidence(name: &str, passed: bool, detail: impl Into<String>) -> Check {
    check(name, CheckKind::Evidence, passed, detail)
}

/// It says that the recovery is right.
pub(super) fn result(name: &str, passed: bool, detail: impl Into<String>) -> Check {
    check(name, CheckKind::Result, passed, detail)
}

/// A result of which nothing is known: it neither held nor failed.
pub(super) fn unmeasured(name: &str, why: &str) -> Check {
    Check { measured: false, ..result(name, false, format!("not measured: {why}")) }
}

fn enough_writes(looked: &Looked<'_>) -> Check {
    let Evidence { steady_from, steady_until, .. } = *looked.evidence;
    let acknowledged = looked.evidence.acknowledged_between(steady_from, steady_until);
    let workload = &looked.spec.workload;
    let missing = steady::writes_missing(acknowledged, steady_from, steady_until, workload);
    let detail = steady::writes_seen(acknowledged, steady_from, steady_until, workload);
    evidence("enough-writes-before-fault", missing.is_none(), detail)
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

/// What every kind of probe saw before the fault. One that answered after it had begun belongs to the outage.
fn healthy_before(looked: &Looked<'_>) -> Check {
    let Evidence { steady_from, steady_until, ref probes, .. } = *looked.evidence;
    let missing = steady::probes_missing(probes, steady_from, steady_until, &looked.spec.probes);
    let passed = missing.is_none();
    let within = || probes.iter().filter(|probe| probe.ended >= steady_from && probe.ended < steady_until).count();
    let detail = missing.unwrap_or_else(|| format!("{} probes of {} kinds, all good", within(), ProbeKind::ALL.len()));
    evidence("healthy-before-fault", passed, detail)
}

/// Each write has an answer, and the ledger holds as many acknowledgements as the writers handed in.
fn ledger_complete(looked: &Looked<'_>) -> Check {
    let pending = looked.evidence.pending();
    let written = looked.evidence.history.count(WriteOutcome::Ok) as u64;
    // The marker was written before the writers began, and habits are nobody's of them.
    let writers = looked.evidence.writers.acknowledged + 1 + looked.evidence.gone_on.writes();
    let handed_in = looked.evidence.handed_in;
    let passed = pending == 0 && written == handed_in && writers == handed_in;
    let detail = format!(
        "{written} acknowledgements on disk, {handed_in} handed in, {writers} seen by the writers; {pending} writes without an answer"
    );
    evidence("ledger-complete", passed, detail)
}

fn rows_equal_ledger(looked: &Looked<'_>) -> Check {
    const NAME: &str = "rows-equal-ledger";
    let (state, losses) = match (&looked.evidence.state, looked.losses) {
        (Ok(state), Some(losses)) => (state, losses),
        (Err(why), _) => return unmeasured(NAME, why),
        (Ok(_), None) => return unmeasured(NAME, "the rows were not compared"),
    };
    let some: Vec<String> = losses.wrong_rows.iter().take(3).map(ToString::to_string).collect();
    let strange: Vec<String> =
        losses.unexpected.iter().take(3).map(|row| format!("{} {:?}", row.key, row.kind)).collect();
    let named = |count: usize, what: &str, some: &[String]| match count {
        0 => format!("none {what}"),
        _ => format!("{count} {what} ({})", some.join(", ")),
    };
    let passed = losses.wrong_rows.is_empty() && losses.unexpected.is_empty();
    let detail = if passed {
        format!("{} rows, each as the ledger says", state.len())
    } else {
        let wrong = named(losses.wrong_rows.len(), "differ", &some);
        format!("of {} rows {wrong}, {}", state.len(), named(losses.unexpected.len(), "unexpected", &strange))
    };
    result(NAME, passed, detail)
}

fn endpoints_agree(looked: &Looked<'_>) -> Check {
    const NAME: &str = "endpoints-agree";
    let (state, direct) = match (&looked.evidence.state, &looked.evidence.direct) {
        (Ok(state), Ok(direct)) => (state, direct),
        (Err(why), _) => return unmeasured(NAME, &format!("on the application's path: {why}")),
        (_, Err(why)) => return unmeasured(NAME, &format!("directly: {why}")),
    };
    let differing = direct.iter().filter(|(key, row)| state.get(key) != Some(row)).count()
        + state.keys().filter(|key| !direct.contains_key(key)).count();
    let detail =
        format!("{} rows on the application's path, {} directly, {differing} differ", state.len(), direct.len());
    result(NAME, differing == 0 && !state.is_empty(), detail)
}
