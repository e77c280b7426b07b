//! Laws of the measurement, on made-up histories whose true loss is known by construction.

mod evidence;
mod model;
mod outage;

use std::collections::BTreeSet;

use jiff::SignedDuration;
use model::{Case, cases};
use proptest::prelude::*;

use super::{Damage, FinalState, Interval, UnexpectedKind, Verdict, losses, rpo};
use crate::{
    clock::At,
    ledger::{Baseline, History, Id, Key, WriteOutcome},
};

fn hour() -> Option<SignedDuration> {
    Some(SignedDuration::from_hours(1))
}

fn lost_ids(case: &Case) -> BTreeSet<u64> {
    losses(&case.history, &case.state).lost.iter().map(|index| case.history.writes[*index].id).collect()
}

proptest! {
    #[test]
    fn nothing_taken_is_nothing_lost(case in cases(false)) {
        let found = losses(&case.history, &case.state);
        prop_assert!(found.lost.is_empty() && found.lost_loaded.is_empty() && found.unexpected.is_empty(), "{found:?}");
    }

    #[test]
    fn only_writes_that_were_taken_are_lost(case in cases(true)) {
        let lost = lost_ids(&case);
        prop_assert!(lost.is_subset(&case.taken), "lost {lost:?}, truly {:?}", case.taken);
    }

    #[test]
    fn a_taken_write_is_missed_only_where_its_row_was_deleted_anyway(case in cases(true)) {
        let lost = lost_ids(&case);
        for id in case.taken.difference(&lost) {
            let write = case.history.writes.iter().find(|write| write.id == *id).expect("taken from the history");
            let invisible = write.changes.iter().all(|change| case.gone.contains(&change.key().expect("acknowledged")));
            prop_assert!(invisible, "write {id} was taken and its row should be there");
        }
    }

    #[test]
    fn the_rpo_brackets_the_truth(case in cases(true)) {
        let found = losses(&case.history, &case.state);
        let measured = rpo(&case.history, Some(&found), None, None, hour());
        let commits = found.lost.iter().map(|index| case.commits[&case.history.writes[*index].id]);
        let loaded = (!found.lost_loaded.is_empty()).then_some(case.history.baseline.acknowledged);
        if let (Some(freeze), Some(actual), Some(earliest)) = (measured.freeze, measured.actual, commits.chain(loaded).min()) {
            let truth = freeze.seconds_since(earliest).max(0.0);
            prop_assert!(actual.contains(truth), "{actual:?} does not hold {truth}");
        }
    }

    #[test]
    fn unknown_writes_are_never_lost_and_each_counts_once(case in cases(true)) {
        let found = losses(&case.history, &case.state);
        prop_assert!(found.lost.iter().all(|index| case.history.writes[*index].outcome == WriteOutcome::Ok));
        let counted = found.unknown_found.len() + found.unknown_missing.len() + found.unknown_hidden.len();
        let unknown = case.history.count(WriteOutcome::Unknown) + case.history.count(WriteOutcome::Pending);
        prop_assert_eq!(counted, unknown);
    }

    #[test]
    fn the_parts_make_the_whole(case in cases(true), began in 0_i64..20_000_000) {
        let found = losses(&case.history, &case.state);
        let damage = Damage { began: At(began), records: case.gone.clone() };
        let whole = rpo(&case.history, Some(&found), Some(&damage), None, hour());
        if let (Some(actual), Some(pre), Some(post)) = (whole.actual, whole.pre_fault, whole.collateral) {
            prop_assert_eq!(pre.low > 0.0 || post.low > 0.0 || found.lost.is_empty() && found.lost_loaded.is_empty() || actual.low == 0.0, true);
            prop_assert!(post.low <= actual.low);
        }
    }

    #[test]
    fn a_row_that_comes_back_is_raised_from_the_dead(case in cases(false), pick in any::<prop::sample::Index>()) {
        let dead: Vec<_> = case.deleted.iter().collect();
        prop_assume!(!dead.is_empty());
        let (key, row) = *pick.get(&dead);
        let mut state = case.state.clone();
        state.insert(key.clone(), row.clone());
        let found = losses(&case.history, &state);
        prop_assert!(found.unexpected.iter().any(|row| row.key == *key && row.kind == UnexpectedKind::RaisedFromTheDead));
    }

    #[test]
    fn a_row_that_nobody_wrote_is_seen(case in cases(false), pick in any::<prop::sample::Index>()) {
        let rows: Vec<_> = case.state.iter().collect();
        prop_assume!(!rows.is_empty());
        let (key, row) = *pick.get(&rows);
        let mut state = case.state.clone();
        let id = Id::Text(format!("not {}", key.id));
        state.insert(Key { id, ..key.clone() }, super::FinalRecord { write: 999_999, ..row.clone() });
        let found = losses(&case.history, &state);
        prop_assert!(found.unexpected.iter().any(|row| row.kind == UnexpectedKind::NeverWritten));
    }
}

#[test]
fn without_writes_there_is_no_rpo() {
    let history = History::default();
    let found = losses(&history, &FinalState::new());
    let measured = rpo(&history, Some(&found), None, None, hour());
    assert_eq!((measured.actual, measured.verdict), (None, Verdict::Unmeasured));
}

#[test]
fn rows_that_nobody_could_read_leave_the_loss_unmeasured() {
    let case = model::fixed();
    let damage = Damage { began: At(5_000_000), records: BTreeSet::new() };
    let measured = rpo(&case.history, None, Some(&damage), None, hour());
    assert_eq!((measured.actual, measured.pre_fault, measured.collateral), (None, None, None));
    assert_eq!((measured.residual_damage, measured.after_first_hole), (None, None));
    assert_eq!(measured.verdict, Verdict::Unmeasured);
    assert!(measured.freeze.is_some() && measured.resolution.is_some(), "these come from the ledger alone");
}

#[test]
fn both_verdicts_need_proof() {
    let minute = Some(SignedDuration::from_mins(1));
    for (measured, objective, expected) in [
        (Some(Interval::between(10.0, 60.0)), minute, Verdict::Met),
        (Some(Interval::between(10.0, 60.1)), minute, Verdict::Unmeasured),
        (Some(Interval::between(60.0, 61.0)), minute, Verdict::Unmeasured),
        (Some(Interval::between(60.1, 61.0)), minute, Verdict::Missed),
        (Some(Interval::more_than(10.0)), minute, Verdict::Unmeasured),
        (Some(Interval::more_than(60.1)), minute, Verdict::Missed),
        (None, minute, Verdict::Unmeasured),
        (Some(Interval::between(0.0, 0.0)), None, Verdict::Unmeasured),
    ] {
        assert_eq!(super::judge(measured, objective), expected, "{measured:?}");
    }
}

/// The same histories against an objective of one second: a longer loss that is proven is a miss, one that is only possible is
/// unmeasured.
#[test]
fn a_loss_that_is_only_possible_is_no_miss() {
    let mut case = model::fixed();
    let second = Some(SignedDuration::from_secs(1));
    let of = |case: &Case| rpo(&case.history, Some(&losses(&case.history, &case.state)), None, None, second);
    let write = case.history.writes.iter_mut().find(|write| write.outcome == WriteOutcome::Ok).expect("one");
    let key = write.changes[0].key().expect("acknowledged");
    case.state.remove(&key);
    let lost = of(&case);
    assert!(lost.actual.is_some_and(|actual| actual.low > 1.0), "{lost:?}");
    assert_eq!((lost.verdict, lost.missing), (Verdict::Missed, None));
    for write in case.history.writes.iter_mut().filter(|write| write.changes[0].key().as_ref() == Some(&key)) {
        write.outcome = WriteOutcome::Unknown;
    }
    case.history.baseline.records.remove(&key);
    let possible = of(&case);
    assert!(
        possible.actual.is_some_and(|actual| actual.low == 0.0 && actual.high.is_some_and(|high| high > 1.0)),
        "{possible:?}"
    );
    assert_eq!(possible.verdict, Verdict::Unmeasured);
    assert!(possible.missing.is_some_and(|missing| missing.contains("the objective of 1s lies within that range")));
}

#[test]
fn damage_that_is_still_there_is_a_miss_whatever_the_rpo() {
    let case = model::fixed();
    let mut state = case.state.clone();
    let key = case.history.baseline.records.keys().next().expect("loaded records").clone();
    state.remove(&key);
    let damage = Damage { began: At(5_000_000), records: BTreeSet::from([key]) };
    let measured = rpo(&case.history, Some(&losses(&case.history, &state)), Some(&damage), None, hour());
    assert_eq!((measured.residual_damage, measured.verdict), (Some(1), Verdict::Missed));
    assert_eq!(measured.actual.expect("measured").low, measured.freeze.expect("writes").seconds_since(At(0)));
}

#[test]
fn an_acknowledgement_that_the_ledger_lost_is_pending() {
    let case = model::fixed();
    let mut history: History = case.history.clone();
    let dropped = history.writes.iter_mut().find(|write| write.outcome == WriteOutcome::Ok).expect("one");
    (dropped.outcome, dropped.ended) = (WriteOutcome::Pending, None);
    let found = losses(&history, &case.state);
    assert_eq!(history.count(WriteOutcome::Pending), 1);
    assert_eq!(found.unknown_found.len() + found.unknown_hidden.len(), 1);
    assert!(history.baseline != Baseline::default());
}
