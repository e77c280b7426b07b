//! Goes on until nothing more follows.

use super::{Draft, begin, failed, input::observation_deadline, interrupted, undo};
use crate::{
    event::{Event, SkipReason},
    failure::{Failure, Reason},
    plan::{Invocation, StepIndex},
    run::{Awaiting, Next, Phase, Settling, StepState, View},
};

/// Each round looks at every step once; a further one is needed only where a step failed after others had been looked at.
pub(super) fn settle(draft: &mut Draft<'_>) {
    loop {
        let before = draft.len();
        match draft.phase() {
            Phase::NotStarted | Phase::Finished { .. } => return,
            Phase::Running | Phase::Stopping { .. } => forward(draft),
            Phase::Undoing { .. } => undo::settle(draft),
        }
        finish(draft);
        if draft.len() == before {
            return;
        }
    }
}

fn finish(draft: &mut Draft<'_>) {
    if let Some(outcome) = draft.outcome_now().filter(|_| !undo::is_due(draft)) {
        draft.emit(Event::RunFinished { outcome });
    } else if matches!(draft.phase(), Phase::Stopping { undo: true, aborted_by: None })
        && (0..draft.count()).all(|index| draft.step(index).state.is_over())
    {
        draft.emit(Event::UndoBegan);
    }
}

fn forward(draft: &mut Draft<'_>) {
    for index in 0..draft.count() {
        // Two or three events at most follow for one step: started and failed to render, say.
        let mut before = usize::MAX;
        while draft.len() != before {
            before = draft.len();
            match draft.phase() {
                Phase::Running => step(draft, index),
                Phase::Stopping { aborted_by: Some(_), .. } => cancel(draft, index),
                Phase::Stopping { .. } => wind_down(draft, index),
                _ => return,
            }
        }
    }
}

/// What a step waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Its needs have not all ended.
    Blocked,
    /// It can begin.
    Ready,
    /// This need can not be met any more.
    Unmet(StepIndex),
}

/// Whether a waiting step can begin. A need that was skipped because its own `when` is false counts as met, and so does one that
/// a dry-run left out.
pub(crate) fn readiness(view: &impl View, needs: &[StepIndex]) -> Readiness {
    let mut ready = Readiness::Ready;
    for need in needs {
        match &view.step(*need).state {
            StepState::Failed { .. } | StepState::Skipped { reason: SkipReason::NeedNotMet { .. } } => {
                return Readiness::Unmet(*need);
            }
            StepState::Succeeded { .. } | StepState::ResolvedByHand { .. } | StepState::Skipped { .. } => {}
            _ => ready = Readiness::Blocked,
        }
    }
    ready
}

fn step(draft: &mut Draft<'_>, index: StepIndex) {
    match &draft.step(index).state {
        StepState::Waiting => match readiness(draft, &draft.planned(index).needs) {
            Readiness::Blocked => {}
            Readiness::Ready => begin::begin(draft, index),
            Readiness::Unmet(need) => {
                let reason = SkipReason::NeedNotMet { step: draft.id(need) };
                draft.emit(Event::StepSkipped { step: draft.id(index), reason });
            }
        },
        StepState::BackingOff { until, next, .. } if *until <= draft.now => {
            let next = next.clone();
            begin::again(draft, index, &next);
        }
        _ => in_flight(draft, index),
    }
}

/// What goes on in every phase: time-outs, and what follows from what is known.
fn in_flight(draft: &mut Draft<'_>, index: StepIndex) {
    let now = draft.now;
    match &draft.step(index).state {
        StepState::Running(attempt) if attempt.deadline.is_some_and(|deadline| deadline <= now) => {
            let number = attempt.number;
            time_out(draft, index, number, draft.planned(index).action());
        }
        StepState::Verifying { attempt, .. } if attempt.deadline.is_some_and(|deadline| deadline <= now) => {
            let number = attempt.number;
            time_out(draft, index, number, draft.planned(index).verify());
        }
        StepState::Observing(attempt) => {
            let asked = draft.step(index).changed.unwrap_or(now);
            let number = attempt.number;
            if observation_deadline(asked) <= now {
                time_out(draft, index, number, None);
            }
        }
        StepState::Interrupted(attempt) => {
            let attempt = attempt.clone();
            interrupted::settle(draft, index, &attempt);
        }
        StepState::Settling(known) => {
            let known = known.clone();
            failed::settle(draft, index, known);
        }
        _ => {}
    }
}

/// A call that ran out of time may have taken effect: only what can be repeated counts as a passing failure.
pub(super) fn time_out(draft: &mut Draft<'_>, index: StepIndex, attempt: u32, action: Option<&Invocation>) {
    let reason = Reason::new("run-timed-out", "it did not end within its time");
    let repeatable = action.is_none_or(|action| action.idempotent);
    let failure = if repeatable { Failure::Transient(reason) } else { Failure::Interrupted(reason) };
    draft.emit(Event::AttemptFailed { step: draft.id(index), attempt, failure });
}

/// The run ends early: what waits is dropped, what runs is waited for.
fn wind_down(draft: &mut Draft<'_>, index: StepIndex) {
    let step = draft.id(index);
    match &draft.step(index).state {
        StepState::Waiting
        | StepState::Awaiting(Awaiting::Approval { .. } | Awaiting::Hands { .. })
        | StepState::Settling(Settling::Hands { .. }) => {
            draft.emit(Event::StepCancelled { step });
        }
        StepState::BackingOff { next: Next::Run | Next::Verify { .. }, failure, .. } => {
            let failure = failure.clone();
            draft.emit(Event::StepFailed { step, failure });
        }
        StepState::BackingOff { until, next: next @ Next::Observe(_), .. } if *until <= draft.now => {
            let next = next.clone();
            begin::again(draft, index, &next);
        }
        _ => in_flight(draft, index),
    }
}

/// Somebody ended the run: nothing is waited for.
fn cancel(draft: &mut Draft<'_>, index: StepIndex) {
    if !draft.step(index).state.is_over() {
        draft.emit(Event::StepCancelled { step: draft.id(index) });
    }
}
