//! Takes back what was done: one step at a time, the last one first.

use jiff::Timestamp;

use super::{Draft, UNDO_ATTEMPTS_MAX, backoff, begin, settle};
use crate::{
    event::Event,
    failure::{Failure, FailureKind, Reason},
    plan::{Plan, Retry, Section},
    run::{Next, Phase, Run, Settling, Slot, StepState},
};

pub(super) fn settle(draft: &mut Draft<'_>) {
    if matches!(draft.phase(), Phase::Undoing { aborted_by: Some(_) }) {
        return abort(draft);
    }
    let next = draft.run.owed().chain(draft.run.expired(draft.now)).next();
    if let Some(slot) = next {
        under_way(draft, slot);
    } else if draft.run.open(Section::Steps) == 0 {
        let last = draft.run.undoable().find(|slot| wants_undo(draft, *slot));
        last.into_iter().for_each(|slot| start(draft, slot));
    }
}

/// Whether the run did something that can still be undone.
pub(crate) fn is_possible(plan: &Plan, run: &Run, now: Timestamp) -> bool {
    let mut run = run.clone();
    let draft = Draft::new(plan, &mut run, now);
    let failed = (0..draft.run.count()).any(|slot| may_be_undone_again(&draft, slot));
    failed || draft.run.undoable().any(|slot| wants_undo(&draft, slot))
}

/// Whether the undo of a step has failed and can be tried once more. One of unknown effect is only repeated where that is harmless.
fn may_be_undone_again(draft: &Draft<'_>, index: Slot) -> bool {
    let StepState::UndoFailed { failure, .. } = &draft.step(index).state else { return false };
    let undo = draft.planned(index).undo.as_ref();
    undo.is_some_and(|undo| undo.idempotent || failure.kind() != FailureKind::Interrupted)
}

/// Whether a step is left that has to be undone.
pub(super) fn is_due(draft: &Draft<'_>) -> bool {
    matches!(draft.phase(), Phase::Undoing { aborted_by: None })
        && draft.run.undoable().any(|slot| wants_undo(draft, slot))
}

fn under_way(draft: &mut Draft<'_>, index: Slot) {
    match &draft.step(index).state {
        StepState::Undoing { attempt, .. } if draft.has_passed(attempt.deadline) => {
            let number = attempt.number;
            settle::time_out(draft, index, number, draft.planned(index).undo.as_ref());
        }
        StepState::BackingOff { until, next: Next::Undo { .. }, .. } if *until <= draft.now => start(draft, index),
        StepState::Settling(Settling::AttemptFailed { failure, next: Next::Undo { .. }, .. }) => {
            let failure = failure.clone();
            failed(draft, index, failure);
        }
        _ => {}
    }
}

/// What succeeded is undone, and so is what may have begun to take effect. Where it cannot be undone, because it never
/// told what it made, the run says so and is not called rolled back.
fn wants_undo(draft: &Draft<'_>, index: Slot) -> bool {
    let step = draft.step(index);
    draft.planned(index).undo.is_some()
        && match &step.state {
            StepState::Succeeded { .. } | StepState::ResolvedByHand { .. } => true,
            StepState::Failed { failure } => {
                let refused = matches!(failure.kind(), FailureKind::InvalidInput | FailureKind::Denied);
                step.in_doubt || step.attempts > 0 && !refused && parameters(draft, index).is_ok()
            }
            StepState::Cancelled | StepState::Skipped { .. } => step.in_doubt,
            StepState::UndoFailed { wanted, .. } => *wanted && may_be_undone_again(draft, index),
            _ => false,
        }
}

fn parameters(draft: &Draft<'_>, index: Slot) -> Result<serde_json::Value, crate::expression::ExpressionError> {
    let own = match &draft.step(index).state {
        StepState::Succeeded { outputs, .. } => outputs.clone(),
        StepState::ResolvedByHand { evidence, .. } => evidence.clone(),
        StepState::BackingOff { next: Next::Undo { outputs }, .. } | StepState::UndoFailed { outputs, .. } => {
            outputs.clone()
        }
        _ => serde_json::Value::Null,
    };
    begin::in_scope(draft, index, Some(&own), |scope| match &draft.planned(index).undo {
        Some(undo) => begin::parameters(undo, scope),
        None => Ok(serde_json::Value::Null),
    })
}

fn start(draft: &mut Draft<'_>, index: Slot) {
    let step = draft.id(index);
    match parameters(draft, index) {
        Ok(parameters) => {
            let attempt = draft.step(index).undo_attempts + 1;
            let deadline = draft.undo_deadline(index);
            draft.emit(Event::UndoStarted { step, attempt, parameters, deadline });
        }
        Err(error) => {
            draft.emit(Event::UndoFailed { step, failure: begin::not_rendered("undo", &error) });
        }
    }
}

/// An attempt to take the step back failed.
pub(super) fn failed(draft: &mut Draft<'_>, index: Slot, failure: Failure) {
    let step = draft.id(index);
    let repeatable = draft.planned(index).undo.as_ref().is_some_and(|undo| undo.idempotent);
    let again = match failure.kind() {
        FailureKind::Transient => true,
        FailureKind::Interrupted => repeatable,
        _ => false,
    };
    let failures = draft.step(index).undo_failures;
    if again && failures < UNDO_ATTEMPTS_MAX {
        let wait = backoff::wait(&Retry::default(), failures);
        draft.emit(Event::RetryScheduled { step, until: draft.after(wait) });
    } else {
        draft.emit(Event::UndoFailed { step, failure });
    }
}

/// Somebody ended the run while it was being undone: what is under way is cut off, the rest is left.
fn abort(draft: &mut Draft<'_>) {
    for index in (0..draft.run.count()).filter(|index| is_under_way(draft, *index)).collect::<Vec<_>>() {
        let reason = Reason::new("run-aborted", "the run was aborted while the step was being undone");
        draft.emit(Event::UndoFailed { step: draft.id(index), failure: Failure::Interrupted(reason) });
    }
}

fn is_under_way(draft: &Draft<'_>, index: Slot) -> bool {
    let step = draft.step(index);
    step.section == Section::Steps && !step.state.is_over()
}
