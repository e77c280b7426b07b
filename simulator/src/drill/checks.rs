//! The named checks: evidence that the drill proves something, and that the recovery is right.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::{
    episode::Episode,
    failover_checks::FAILOVER,
    intruder_checks::INTRUDERS,
    recovery_checks::RECOVERY,
    routine_checks::ROUTINES,
    rule::{Looked, Rule, Scope, Seen, always, differing, seen},
    standby_checks::STANDBYS,
    steady,
};
use crate::{
    ledger::{Name, Operation, WriteOutcome},
    measurement::{Losses, ProbeKind, UnexpectedKind},
    model::Collection,
    report::{Check, CheckKind, NotApplied},
};

const fn evidence(name: &'static str, look: fn(&Looked<'_>) -> Seen) -> Rule {
    Rule {
        name,
        kind: CheckKind::Evidence,
        scope: Scope::Drill,
        possible: |_| true,
        applies: always,
        needs: "nothing",
        look,
    }
}

const fn result(name: &'static str, look: fn(&Looked<'_>) -> Seen) -> Rule {
    Rule {
        name,
        kind: CheckKind::Result,
        scope: Scope::Drill,
        possible: |_| true,
        applies: always,
        needs: "nothing",
        look,
    }
}

/// The checks that every drill has, whatever the fault.
static UNDISTURBED: [Rule; 6] = [
    evidence("enough-writes-before-fault", enough_writes),
    evidence("every-kind-of-write-before-fault", all_kinds_of_writes),
    evidence("healthy-before-fault", healthy_before),
    evidence("ledger-complete", ledger_complete),
    result("rows-equal-ledger", rows_equal_ledger),
    result("endpoints-agree", endpoints_agree),
];

fn rules() -> impl Iterator<Item = &'static Rule> {
    let recovered = RECOVERY.iter().chain(&FAILOVER).chain(&INTRUDERS);
    UNDISTURBED.iter().chain(recovered).chain(&STANDBYS).chain(&ROUTINES)
}

/// The names of all checks.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    rules().map(|rule| rule.name)
}

/// The checks that can turn a drill red.
pub(super) fn results() -> impl Iterator<Item = &'static Rule> {
    rules().filter(|rule| rule.kind == CheckKind::Result)
}

/// All checks of an episode; for the first one also those of the whole drill.
pub(super) fn checks(looked: &Looked<'_>) -> Vec<Check> {
    asked(looked).filter(|rule| (rule.applies)(looked)).map(|rule| rule.check(looked)).collect()
}

/// Those of them that have nothing to look at.
pub(super) fn not_applied(looked: &Looked<'_>) -> Vec<NotApplied> {
    let told = |rule: &Rule| NotApplied {
        name: rule.name.to_owned(),
        episode: rule.episode(looked),
        needs: rule.needs.to_owned(),
    };
    asked(looked).filter(|rule| !(rule.applies)(looked)).map(told).collect()
}

fn asked(looked: &Looked<'_>) -> impl Iterator<Item = &'static Rule> {
    let is_first = looked.number == 1;
    rules().filter(move |rule| rule.scope == Scope::Episode || is_first)
}

fn enough_writes(looked: &Looked<'_>) -> Seen {
    let Episode { steady_from, steady_until, .. } = *looked.episode;
    let acknowledged = looked.evidence.acknowledged_between(steady_from, steady_until);
    let workload = &looked.spec.workload;
    let missing = steady::writes_missing(acknowledged, steady_from, steady_until, workload);
    let detail = steady::writes_seen(acknowledged, steady_from, steady_until, workload);
    seen(missing.is_none(), detail)
}

fn all_kinds_of_writes(looked: &Looked<'_>) -> Seen {
    let before = looked.evidence.history.acknowledged().filter(|(at, _)| *at <= looked.episode.steady_until);
    let kinds = before.filter_map(|(_, write)| Some((write.operation as u8, &write.changes.first()?.collection)));
    let kinds: BTreeSet<(u8, &Name)> = kinds.collect();
    let wanted = Collection::ALL.into_iter().flat_map(|collection| {
        let delete = (collection != Collection::Customers).then_some(Operation::Delete);
        let kinds = [Some(Operation::Insert), Some(Operation::Update), delete].into_iter().flatten();
        kinds.map(move |kind| (kind, collection.name()))
    });
    let missing = wanted.filter(|(kind, collection)| !kinds.contains(&(*kind as u8, collection)));
    let missing: Vec<String> = missing.map(|(kind, collection)| format!("{kind:?} of {collection}")).collect();
    let detail = if missing.is_empty() {
        "inserts, updates and deletes over all tables".to_owned()
    } else {
        format!("none: {}", missing.join(", "))
    };
    seen(missing.is_empty(), detail)
}

/// What every kind of probe saw before the fault. A probe that answered after the fault had begun belongs to the outage.
fn healthy_before(looked: &Looked<'_>) -> Seen {
    let probes = &looked.evidence.probes;
    let Episode { steady_from, steady_until, .. } = *looked.episode;
    let missing = steady::probes_missing(probes, steady_from, steady_until, &looked.spec.probes);
    let holds = missing.is_none();
    let within = || probes.iter().filter(|probe| probe.ended >= steady_from && probe.ended < steady_until).count();
    let detail = missing.unwrap_or_else(|| format!("{} probes of {} kinds, all good", within(), ProbeKind::ALL.len()));
    seen(holds, detail)
}

/// Each write has an answer, and the ledger holds as many acknowledgements as the writers handed in.
fn ledger_complete(looked: &Looked<'_>) -> Seen {
    let pending = looked.evidence.pending();
    let written = looked.evidence.history.count(WriteOutcome::Ok) as u64;
    // The marker was written before the writers began, and no writer makes the writes of habits.
    let writers = looked.evidence.writers.acknowledged + 1 + looked.evidence.by_habit();
    let handed_in = looked.evidence.handed_in;
    let passed = pending == 0 && written == handed_in && writers == handed_in;
    let detail = format!(
        "{written} acknowledgements on disk, {handed_in} handed in, {writers} seen by the writers; {pending} writes without an answer"
    );
    seen(passed, detail)
}

fn rows_equal_ledger(looked: &Looked<'_>) -> Seen {
    let (state, losses) = match (&looked.evidence.state, looked.losses) {
        (Ok(state), Some(losses)) => (state, losses),
        (Err(why), _) => return Seen::Unknown(why.clone()),
        (Ok(_), None) => return Seen::Unknown("the rows were not compared".to_owned()),
    };
    let some: Vec<String> = losses.wrong.iter().take(3).map(ToString::to_string).collect();
    let strange: Vec<String> =
        losses.unexpected.iter().take(3).map(|row| format!("{} {:?}", row.key, row.kind)).collect();
    let named = |count: usize, what: &str, some: &[String]| match count {
        0 => format!("none {what}"),
        _ => format!("{count} {what} ({})", some.join(", ")),
    };
    if looked.evidence.may_lose_writes() {
        return rows_older_at_most(state.len(), losses);
    }
    let passed = losses.wrong.is_empty() && losses.unexpected.is_empty();
    let detail = if passed {
        format!("{} rows, each as the ledger says", state.len())
    } else {
        let wrong = named(losses.wrong.len(), "differ", &some);
        format!("of {} rows {wrong}, {}", state.len(), named(losses.unexpected.len(), "unexpected", &strange))
    };
    seen(passed, detail)
}

/// Where acknowledged writes may be lost, a row may be as an older write left it, and nothing else: the RPO says how much that is.
fn rows_older_at_most(rows: usize, losses: &Losses) -> Seen {
    let strange: Vec<String> = losses
        .unexpected
        .iter()
        .filter(|row| row.kind != UnexpectedKind::RaisedFromTheDead)
        .map(|row| format!("{} {:?}", row.key, row.kind))
        .collect();
    let loaded = losses.lost_loaded.len();
    let detail = match strange.first() {
        Some(first) => format!("{} rows are as no write left them ({first}, …)", strange.len()),
        None if loaded > 0 => format!("{loaded} rows of the load are gone"),
        None => format!(
            "{rows} rows as the ledger says; {} are as an older write left them, because {} acknowledged writes are lost",
            losses.wrong.len(),
            losses.lost.len()
        ),
    };
    seen(strange.is_empty() && loaded == 0, detail)
}

fn endpoints_agree(looked: &Looked<'_>) -> Seen {
    let (state, direct) = match (&looked.evidence.state, &looked.evidence.direct) {
        (Ok(state), Ok(direct)) => (state, direct),
        (Err(why), _) => return Seen::Unknown(format!("on the application's path: {why}")),
        (_, Err(why)) => return Seen::Unknown(format!("directly: {why}")),
    };
    let differing = differing(state, direct);
    let detail =
        format!("{} rows on the application's path, {} directly, {differing} differ", state.len(), direct.len());
    seen(differing == 0 && !state.is_empty(), detail)
}
