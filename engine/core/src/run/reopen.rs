//! What an operator's decision about a step changes beside that step: a run that had failed continues where no failed step is left,
//! and what was left out because of the step waits for its needs again.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Awaiting, Next, Phase, Run, Settling, Slot, StepRun, StepState, transition::Change};
use crate::{
    event::{Event, Outcome, SkipReason},
    name::StepId,
    plan::{OnFailure, Section},
};

impl Run {
    /// Whether an operator can still change how the run continues: nothing was undone, nobody ended it, and it did not end well.
    pub fn can_be_reopened(&self) -> bool {
        match &self.phase {
            Phase::Running | Phase::Stopping { aborted_by: None, .. } => true,
            Phase::Finished { outcome: Outcome::Failed, .. } => {
                let taken_back =
                    |step: &StepRun| matches!(step.state, StepState::Undone | StepState::UndoFailed { .. });
                !self.is_dry_run() && !self.steps.iter().any(taken_back)
            }
            _ => false,
        }
    }
}

impl Run {
    /// Whether what the run did can still be undone although it is over: it failed, or somebody ended it.
    pub fn can_be_taken_back(&self) -> bool {
        let ended = matches!(self.phase, Phase::Finished { outcome: Outcome::Failed | Outcome::Aborted, .. });
        ended && !self.is_dry_run()
    }
}

/// What follows if a person requests the undo of everything in a run that is over. What could not be undone is requested once
/// more, and people are told again how it ends.
pub(super) fn taken_back(run: &Run, at: Timestamp, event: &Event) -> Option<Change> {
    let Event::AbortRequested { who, undo: true, .. } = event else { return None };
    if !run.can_be_taken_back() {
        return None;
    }
    let phase = Phase::Stopping { undo: true, aborted_by: Some(who.clone()) };
    let mut change = Change { phase: Some(phase), ..Change::default() };
    for slot in (0..run.planned()).filter(|slot| run.step(*slot).section != Section::Steps) {
        again(run, at, slot, Again::Whole, &mut change);
    }
    for (slot, step) in (0..run.count()).map(|slot| (slot, run.step(slot))) {
        if let StepState::UndoFailed { failure, outputs, .. } = &step.state {
            let state = StepState::UndoFailed { failure: failure.clone(), outputs: outputs.clone(), wanted: true };
            change.others.push((slot, StepRun { id: step.id.clone(), state, undo_failures: 0, ..*step }));
        }
    }
    Some(change)
}

/// Whether the step failed and keeps the run from going on. The items of a list are dealt with by its step.
pub(crate) fn is_unresolved(run: &Run, slot: Slot) -> bool {
    let step = run.step(slot);
    let counts = slot < run.planned() && step.section == Section::Steps && step.on_failure != OnFailure::Continue;
    counts && matches!(step.state, StepState::Failed { .. })
}

/// What follows where an operator has dealt with a step that was over: it is skipped, or done by hand.
pub(super) fn dealt_with(run: &Run, at: Timestamp, slot: Slot, after: StepRun) -> Change {
    let resolved = run.step(slot).state.is_over() && !matches!(after.state, StepState::Cancelled);
    let mut change = Change { step: Some((slot, after)), ..Change::default() };
    if resolved {
        go_on(run, at, &BTreeSet::from([slot]), &mut change);
    }
    change
}

/// What follows where an operator wants steps once more; `None` where one of them cannot wait for its needs again, or another
/// failed step would keep the run from going on.
pub(super) fn reopened(run: &Run, at: Timestamp, steps: &[StepId]) -> Option<Change> {
    let named: BTreeSet<Slot> = steps.iter().map(|id| run.position(id)).collect::<Option<_>>()?;
    let may = |slot: &Slot| {
        let step = run.step(*slot);
        *slot < run.planned() && step.section == Section::Steps && may_wait_again(&step.state)
    };
    let kept = |slot| !named.contains(&slot) && is_unresolved(run, slot);
    if named.is_empty() || !run.can_be_reopened() || !named.iter().all(may) || (0..run.planned()).any(kept) {
        return None;
    }
    let mut change = Change::default();
    named.iter().for_each(|slot| again(run, at, *slot, Again::Rest, &mut change));
    go_on(run, at, &named, &mut change);
    Some(change)
}

/// Lets the run continue, where no failed step is left, and wait again what was left out because of these steps.
fn go_on(run: &Run, at: Timestamp, dealt_with: &BTreeSet<Slot>, change: &mut Change) {
    let left = |slot| !dealt_with.contains(&slot) && is_unresolved(run, slot);
    let is_running = matches!(run.phase, Phase::Running);
    if !is_running && (0..run.planned()).any(left) {
        return;
    }
    if !is_running {
        change.phase = Some(Phase::Running);
        // Whatever stands there as cancelled was so because the run ended, and people are told again how it ends.
        for slot in (0..run.planned()).filter(|slot| !dealt_with.contains(slot)) {
            let step = run.step(slot);
            if step.section != Section::Steps && !matches!(step.state, StepState::Waiting) {
                again(run, at, slot, Again::Whole, change);
            } else if matches!(step.state, StepState::Cancelled) {
                again(run, at, slot, Again::Rest, change);
            } else if let StepState::FannedOut { first, count } = step.state {
                let cancelled = |item: &Slot| matches!(run.step(*item).state, StepState::Cancelled);
                let items = (first..first + count).filter(cancelled);
                change.others.extend(items.map(|item| (item, waiting_again(run.step(item), at))));
            }
        }
    }
    left_out(run, dealt_with).into_iter().for_each(|slot| again(run, at, slot, Again::Rest, change));
}

/// The steps that were left out because these were not done, and those left out because of them.
fn left_out(run: &Run, because_of: &BTreeSet<Slot>) -> BTreeSet<Slot> {
    let mut found = because_of.clone();
    // Needs come before what needs them, so one look at each step in order is enough.
    for slot in 0..run.planned() {
        if let StepState::Skipped { reason: SkipReason::NeedNotMet { step } } = &run.step(slot).state
            && run.position(step).is_some_and(|need| found.contains(&need))
        {
            found.insert(slot);
        }
    }
    found.retain(|slot| !because_of.contains(slot));
    found
}

/// Nothing is in flight for it, and nobody has to find out what became of an attempt.
fn may_wait_again(state: &StepState) -> bool {
    match state {
        StepState::Undone | StepState::UndoFailed { .. } => false,
        StepState::Waiting | StepState::Awaiting(Awaiting::Approval { .. } | Awaiting::Hands { .. }) => true,
        StepState::BackingOff { next, .. } => matches!(next, Next::Run | Next::Verify { .. }),
        StepState::Settling(settling) => match settling {
            Settling::AttemptFailed { next, .. } => matches!(next, Next::Run | Next::Verify { .. }),
            Settling::Approval { .. } | Settling::Hands { .. } => true,
            Settling::Decision { .. } => false,
        },
        state => state.is_over(),
    }
}

/// How much of a list is done once more. What it is a list of was evaluated once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// The items that failed or were cancelled.
    Rest,
    /// All of them.
    Whole,
}

/// Lets a step wait for its needs again, and the items of its list for their turn.
fn again(run: &Run, at: Timestamp, slot: Slot, how: Again, change: &mut Change) {
    let Some(items) = run.items_of(slot) else {
        change.others.push((slot, waiting_again(run.step(slot), at)));
        return;
    };
    let begun = StepState::FannedOut { first: items.start, count: items.len() };
    change.others.push((slot, StepRun { state: begun, ..waiting_again(run.step(slot), at) }));
    for item in items {
        let state = &run.step(item).state;
        if how == Again::Whole || matches!(state, StepState::Failed { .. } | StepState::Cancelled) {
            change.others.push((item, waiting_again(run.step(item), at)));
        }
    }
}

/// The step before its next attempt: `retry` counts anew, attempts are numbered on.
fn waiting_again(step: &StepRun, at: Timestamp) -> StepRun {
    StepRun {
        id: step.id.clone(),
        state: StepState::Waiting,
        failures: 0,
        interruptions: 0,
        engine_ended: None,
        observations: 0,
        counted_from: None,
        started: None,
        changed: Some(at),
        in_doubt: step.in_doubt || step.may_be_taken_back() && !matches!(step.state, StepState::Failed { .. }),
        ..*step
    }
}
