//! Takes in what happened outside.

use super::{Draft, interrupted, operator};
use crate::{
    event::{Event, KnownBy, Person},
    failure::{Failure, Reason},
    input::{Done, Input, Observation, Purpose},
    mutant::{self, Mutant},
    name::StepId,
    run::{Attempt, Awaiting, Phase, Slot, StepState},
};

pub(super) fn take(draft: &mut Draft<'_>, input: &Input) {
    match (input, draft.phase()) {
        (Input::Start(started), Phase::NotStarted) => {
            draft.emit(Event::RunStarted(started.as_ref().clone()));
        }
        (Input::Command(request), _) => operator::take(draft, request),
        (_, Phase::NotStarted | Phase::Finished { .. }) => {}
        (Input::Start(_) | Input::Tick, _) => {}
        (Input::Answered { step, attempt, purpose, answer }, _) => answered(draft, step, *attempt, *purpose, answer),
        (Input::Observed { step, attempt, observation }, _) => observed(draft, step, *attempt, observation),
        (Input::Interrupted { step }, _) => engine_ended(draft, step),
        (Input::Unanswered { step }, _) => unanswered(draft, step),
        (Input::Hands { step, who, evidence }, _) => hands(draft, step, who, evidence),
        (Input::Approval { .. } | Input::Operator { .. } | Input::Abort { .. }, _) => {
            if let Some(request) = operator::request(input) {
                operator::take(draft, &request);
            }
        }
    }
}

fn answered(draft: &mut Draft<'_>, id: &StepId, number: u32, purpose: Purpose, answer: &Result<Done, Failure>) {
    let Some(index) = draft.position(id) else { return };
    let step = id.clone();
    let number = if mutant::is_active(Mutant::OldAnswers) { draft.step(index).attempts } else { number };
    let event = match (&draft.step(index).state, purpose, answer) {
        (StepState::Running(attempt), Purpose::Run, Ok(done)) if attempt.number == number => Event::StepSucceeded {
            step,
            attempt: number,
            outputs: done.outputs.clone(),
            summary: done.summary.clone(),
            known_by: KnownBy::Answer,
        },
        (StepState::Verifying { attempt, who, evidence }, Purpose::Verify, Ok(_)) if attempt.number == number => {
            Event::ResolvedByHand { step, who: who.clone(), evidence: evidence.clone(), reason: None }
        }
        (StepState::Undoing { attempt, .. }, Purpose::Undo, Ok(_)) if attempt.number == number => {
            Event::StepUndone { step }
        }
        (StepState::Running(attempt), Purpose::Run, Err(failure))
        | (StepState::Verifying { attempt, .. }, Purpose::Verify, Err(failure))
        | (StepState::Undoing { attempt, .. }, Purpose::Undo, Err(failure))
            if attempt.number == number =>
        {
            Event::AttemptFailed { step, attempt: number, failure: failure.clone() }
        }
        _ => return,
    };
    draft.emit(event);
}

fn observed(draft: &mut Draft<'_>, id: &StepId, number: u32, observation: &Result<Observation, Failure>) {
    let Some(index) = draft.position(id) else { return };
    if !matches!(&draft.step(index).state, StepState::Observing(attempt) if attempt.number == number) {
        return;
    }
    let step = id.clone();
    let event = match observation {
        Ok(Observation::Done(done)) => Event::StepSucceeded {
            step,
            attempt: number,
            outputs: done.outputs.clone(),
            summary: done.summary.clone(),
            known_by: KnownBy::Observation,
        },
        // What would end the step or ask somebody has to wait for the end of a pause, and so it is known as a failure until then.
        Ok(Observation::Unknown(why)) if draft.run.pause.is_some() => {
            let failure = Failure::Permanent(Reason::new("run-outcome-unknown", why.clone()));
            Event::AttemptFailed { step, attempt: number, failure }
        }
        Ok(Observation::NotDone) => return interrupted::not_done(draft, index, number),
        Ok(Observation::Unknown(why)) => {
            Event::OperatorAsked { step, reason: Reason::new("run-outcome-unknown", why.clone()) }
        }
        Err(failure) => Event::AttemptFailed { step, attempt: number, failure: failure.clone() },
    };
    draft.emit(event);
}

/// An observation is simply called again: `due` still lists it. So is a check or undo that can be repeated; but where the attempt has
/// a deadline it is a new one, with time of its own: that of the first one went by while no engine was there.
fn engine_ended(draft: &mut Draft<'_>, id: &StepId) {
    let Some(index) = draft.position(id) else { return };
    // Somebody ended the handlers: whatever was under way is cut off next.
    if matches!(draft.phase(), Phase::Handling { aborted_by: Some(_), .. }) {
        return;
    }
    let planned = draft.planned(index);
    let repeatable = |invocation: Option<&crate::plan::Invocation>| invocation.is_none_or(|action| action.idempotent);
    let cut_off = |attempt: &Attempt| {
        let reason = Reason::new("run-interrupted", "the engine ended while it ran");
        Event::AttemptFailed { step: id.clone(), attempt: attempt.number, failure: Failure::Interrupted(reason) }
    };
    let goes_on = draft.goes_on() || matches!(draft.phase(), Phase::Undoing { aborted_by: None });
    let may_begin = goes_on && draft.run.pause.is_none();
    let event = match &draft.step(index).state {
        StepState::Running(attempt) => Event::AttemptInterrupted { step: id.clone(), attempt: attempt.number },
        StepState::Verifying { attempt, .. } if !repeatable(planned.verify()) => cut_off(attempt),
        StepState::Undoing { attempt, .. } if !repeatable(planned.undo.as_ref()) => cut_off(attempt),
        StepState::Verifying { attempt, .. } if attempt.deadline.is_some() && may_begin => Event::StepStarted {
            step: id.clone(),
            attempt: draft.step(index).attempts + 1,
            parameters: attempt.parameters.clone(),
            deadline: draft.deadline(index),
        },
        StepState::Undoing { attempt, .. } if attempt.deadline.is_some() && may_begin => Event::UndoStarted {
            step: id.clone(),
            attempt: draft.step(index).undo_attempts + 1,
            parameters: attempt.parameters.clone(),
            deadline: draft.undo_deadline(index),
        },
        _ => return,
    };
    draft.emit(event);
}

fn unanswered(draft: &mut Draft<'_>, id: &StepId) {
    if draft.run.pause.is_some() {
        return;
    }
    let event = waits(draft, id, |awaiting| {
        let reason = Reason::new("run-timed-out", "nobody answered within its time");
        let failed = Event::StepFailed { step: id.clone(), failure: Failure::Permanent(reason) };
        matches!(awaiting, Awaiting::Approval { .. } | Awaiting::Hands { .. }).then_some(failed)
    });
    if let Some(event) = event {
        draft.emit(event);
    }
}

/// What was handed in is looked at when it is settled: a person who forgot something is asked again.
fn hands(draft: &mut Draft<'_>, step: &StepId, who: &Person, evidence: &serde_json::Value) {
    let event = waits(draft, step, |awaiting| {
        let (step, who, evidence) = (step.clone(), who.clone(), evidence.clone());
        let reported = Event::HandsReported { step, who, evidence, reason: None };
        matches!(awaiting, Awaiting::Hands { .. }).then_some(reported)
    });
    if let Some(event) = event {
        draft.emit(event);
    }
}

fn waits(draft: &Draft<'_>, id: &StepId, event: impl FnOnce(&Awaiting) -> Option<Event>) -> Option<Event> {
    let index: Slot = draft.position(id)?;
    match &draft.step(index).state {
        StepState::Awaiting(awaiting) => event(awaiting),
        _ => None,
    }
}
