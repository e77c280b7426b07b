//! Goes on until nothing more follows.
//!
//! The run knows which steps want attention, so that each round costs what it changes. Only where a run ends early all steps are
//! looked at.

use std::collections::BTreeSet;

use super::{Draft, begin, failed, fan_out, handlers, interrupted, operator, undo};
use crate::{
    event::{Event, SkipReason},
    failure::{Failure, Reason},
    plan::{Invocation, Section},
    run::{Awaiting, Next, Phase, Readiness, Run, Settling, Slot, StepState, observation_deadline},
};

/// Calls that a run has in flight at most. What else is ready waits.
pub const CALLS_MAX: usize = 256;

/// Each round deals with one step, or with all of them where the run ends early.
pub(super) fn settle(draft: &mut Draft<'_>) {
    if draft.run.pause.is_some() {
        return operator::settle_paused(draft);
    }
    let mut stuck = BTreeSet::new();
    loop {
        let before = draft.len();
        match draft.phase() {
            Phase::NotStarted | Phase::Finished { .. } => return,
            Phase::Running => forward(draft, Section::Steps, &mut stuck),
            Phase::Stopping { undo: false, aborted_by: Some(_) } => cancel(draft, Section::Steps),
            Phase::Stopping { .. } => wind_down(draft),
            Phase::Undoing { .. } => undo::settle(draft),
            Phase::Handling { .. } => handlers::settle(draft, &mut stuck),
        }
        if draft.len() == before {
            finish(draft);
        }
        if draft.len() == before {
            return;
        }
    }
}

fn finish(draft: &mut Draft<'_>) {
    if undo::is_due(draft) {
        return;
    }
    if let Some(outcome) = draft.run.outcome_now() {
        draft.emit(Event::RunFinished { outcome });
    } else if matches!(draft.phase(), Phase::Stopping { undo: true, .. }) && draft.run.open(Section::Steps) == 0 {
        draft.emit(Event::UndoBegan);
    } else if !matches!(draft.phase(), Phase::Handling { .. })
        && draft.run.has_handlers()
        && let Some(ending) = draft.run.ending_now()
    {
        draft.emit(Event::HandlersBegan { ending });
    }
}

/// Moves one step of the section on: what is known first, then what time has decided, then what can begin. `stuck` are the steps
/// from which nothing followed, as in the journal of another plan.
pub(super) fn forward(draft: &mut Draft<'_>, section: Section, stuck: &mut BTreeSet<Slot>) {
    while let Some(slot) = attention(draft, section, stuck) {
        let before = draft.len();
        step(draft, slot);
        if draft.len() != before {
            return;
        }
        stuck.insert(slot);
    }
}

fn attention(draft: &Draft<'_>, section: Section, stuck: &BTreeSet<Slot>) -> Option<Slot> {
    let run = &*draft.run;
    let known = run.owed().chain(run.expired(draft.now));
    let lists = run.fanned_out().filter(|slot| fan_out::wants_attention(draft.plan, run, *slot));
    let ready = run.ready(section).filter(|_| has_room(run));
    known.chain(lists).chain(ready).find(|slot| !stuck.contains(slot))
}

/// Whether another call may be started.
pub(crate) fn has_room(run: &Run) -> bool {
    run.calls() < CALLS_MAX
}

fn step(draft: &mut Draft<'_>, slot: Slot) {
    let planned = draft.planned(slot);
    match &draft.step(slot).state {
        StepState::Waiting => match draft.run.readiness(slot, &planned.needs) {
            Readiness::Blocked => {}
            Readiness::Ready => begin::begin(draft, slot),
            Readiness::Unmet(need) => {
                let reason = SkipReason::NeedNotMet { step: draft.id(need) };
                draft.emit(Event::StepSkipped { step: draft.id(slot), reason });
            }
        },
        StepState::BackingOff { until, next, failure } if *until <= draft.now => {
            let (next, failure) = (next.clone(), failure.clone());
            begin::again(draft, slot, &next, &failure);
        }
        StepState::Awaiting(Awaiting::Approval { expires: Some(expires), .. }) if *expires <= draft.now => {
            let message = format!("nobody answered before it expired at {expires:.0}");
            let failure = Failure::Permanent(Reason::new("run-approval-expired", message));
            draft.emit(Event::StepFailed { step: draft.id(slot), failure });
        }
        _ => in_flight(draft, slot),
    }
}

/// What continues in every phase: time-outs, and what follows from what is known.
fn in_flight(draft: &mut Draft<'_>, slot: Slot) {
    let now = draft.now;
    match &draft.step(slot).state {
        StepState::Running(attempt) if draft.has_passed(attempt.deadline) => {
            let number = attempt.number;
            time_out(draft, slot, number, draft.planned(slot).action());
        }
        StepState::Verifying { attempt, .. } if draft.has_passed(attempt.deadline) => {
            let number = attempt.number;
            time_out(draft, slot, number, draft.planned(slot).verify());
        }
        StepState::Observing(attempt) => {
            let asked = draft.step(slot).changed.unwrap_or(now);
            let number = attempt.number;
            if draft.has_passed(Some(observation_deadline(asked))) {
                time_out(draft, slot, number, None);
            }
        }
        StepState::Interrupted(attempt) => {
            let attempt = attempt.clone();
            interrupted::settle(draft, slot, &attempt);
        }
        StepState::Settling(known) => {
            let known = known.clone();
            failed::settle(draft, slot, known);
        }
        StepState::FannedOut { first, count } => {
            let items = *first..first + count;
            fan_out::settle(draft, slot, items);
        }
        _ => {}
    }
}

/// A call that ran out of time may have taken effect: only what can be repeated counts as a passing failure.
pub(super) fn time_out(draft: &mut Draft<'_>, slot: Slot, attempt: u32, action: Option<&Invocation>) {
    let reason = Reason::new("run-timed-out", "it did not end within its time");
    let repeatable = action.is_none_or(|action| action.idempotent);
    let failure = if repeatable { Failure::Transient(reason) } else { Failure::Interrupted(reason) };
    draft.emit(Event::AttemptFailed { step: draft.id(slot), attempt, failure });
}

/// The run ends early: what waits is dropped, what runs is waited for.
fn wind_down(draft: &mut Draft<'_>) {
    for slot in 0..draft.run.count() {
        if draft.step(slot).section != Section::Steps {
            continue;
        }
        // Two or three events at most follow for one step: a failed observation is asked again, say.
        let mut before = usize::MAX;
        while draft.len() != before && matches!(draft.phase(), Phase::Stopping { .. }) {
            before = draft.len();
            wind_down_step(draft, slot);
        }
    }
}

fn wind_down_step(draft: &mut Draft<'_>, slot: Slot) {
    let step = draft.id(slot);
    match &draft.step(slot).state {
        StepState::Waiting
        | StepState::Awaiting(Awaiting::Approval { .. } | Awaiting::Hands { .. })
        | StepState::Settling(Settling::Hands { .. }) => {
            draft.emit(Event::StepCancelled { step });
        }
        StepState::BackingOff { next: Next::Run | Next::Verify { .. }, failure, .. } => {
            let failure = begin::given_up(draft.planned(slot), failure);
            draft.emit(Event::StepFailed { step, failure });
        }
        StepState::BackingOff { until, next: next @ Next::Observe(_), failure } if *until <= draft.now => {
            let (next, failure) = (next.clone(), failure.clone());
            begin::again(draft, slot, &next, &failure);
        }
        _ => in_flight(draft, slot),
    }
}

/// Somebody ended the run: nothing is waited for.
pub(super) fn cancel(draft: &mut Draft<'_>, section: Section) {
    for slot in 0..draft.run.count() {
        let step = draft.step(slot);
        if (step.section == Section::Steps) == (section == Section::Steps) && !step.state.is_over() {
            draft.emit(Event::StepCancelled { step: draft.id(slot) });
        }
    }
}
