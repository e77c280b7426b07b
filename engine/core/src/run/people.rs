//! What people answer and decide, and the state that it leads to.

use jiff::Timestamp;

use super::{Attempt, Awaiting, Next, Settling, StepState, transition::run_again};
use crate::event::{Event, OperatorAnswer, Person};

/// The state after an event of a person; `None` where it cannot come.
pub(super) fn after(state: &StepState, at: Timestamp, event: &Event) -> Option<StepState> {
    match (event, state) {
        (Event::ApprovalRequested { by, message, four_eyes, expires, .. }, StepState::Waiting) => {
            Some(StepState::Awaiting(Awaiting::Approval {
                by: by.clone(),
                message: message.clone(),
                four_eyes: *four_eyes,
                expires: *expires,
                approved_by: None,
            }))
        }
        (Event::ApprovalAnswered { .. }, StepState::Awaiting(awaiting)) => after_answer(awaiting, at, event),
        (
            Event::HandsRequested { instruction, evidence, .. },
            StepState::Waiting
            | StepState::Settling(Settling::Hands { .. } | Settling::AttemptFailed { next: Next::Verify { .. }, .. }),
        ) => {
            Some(StepState::Awaiting(Awaiting::Hands { instruction: instruction.clone(), evidence: evidence.clone() }))
        }
        (Event::HandsReported { who, evidence, reason, .. }, state)
            if matches!(state, StepState::Awaiting(Awaiting::Hands { .. }))
                || reason.is_some() && may_be_dealt_with(state) =>
        {
            Some(StepState::Settling(Settling::Hands { who: who.clone(), evidence: evidence.clone() }))
        }
        (Event::ResolvedByHand { who, evidence, reason: Some(_), .. }, state) if may_be_dealt_with(state) => {
            Some(StepState::ResolvedByHand { who: who.clone(), evidence: evidence.clone() })
        }
        (
            Event::ResolvedByHand { who, evidence, reason: None, .. },
            StepState::Settling(Settling::Hands { .. }) | StepState::Verifying { .. },
        ) => Some(StepState::ResolvedByHand { who: who.clone(), evidence: evidence.clone() }),
        (Event::OperatorAsked { reason, .. }, _) => {
            let attempt = undecided(state)?.clone();
            Some(StepState::Awaiting(Awaiting::Decision { attempt, reason: reason.clone() }))
        }
        (Event::OperatorAnswered { who, answer, .. }, StepState::Awaiting(Awaiting::Decision { attempt, .. })) => {
            Some(match answer {
                OperatorAnswer::RunAgain => run_again(at),
                OperatorAnswer::ItHappened { .. } | OperatorAnswer::GiveUp => StepState::Settling(Settling::Decision {
                    attempt: attempt.clone(),
                    who: who.clone(),
                    answer: answer.clone(),
                }),
            })
        }
        _ => None,
    }
}

/// With `four_eyes`, a first approval waits for that of another person.
fn after_answer(awaiting: &Awaiting, at: Timestamp, event: &Event) -> Option<StepState> {
    let Awaiting::Approval { four_eyes, expires, approved_by, .. } = awaiting else { return None };
    let Event::ApprovalAnswered { who, approved, comment, .. } = event else { return None };
    if expires.is_some_and(|instant| instant <= at) || approved_by.as_ref() == Some(who) && *approved {
        return None;
    }
    // A drill's policy stands for everybody who is needed.
    let first = *four_eyes && approved_by.is_none() && !matches!(who, Person::Policy { .. });
    Some(match awaiting.clone() {
        Awaiting::Approval { by, message, four_eyes, expires, .. } if *approved && first => {
            let approved_by = Some(who.clone());
            StepState::Awaiting(Awaiting::Approval { by, message, four_eyes, expires, approved_by })
        }
        _ => {
            StepState::Settling(Settling::Approval { who: who.clone(), approved: *approved, comment: comment.clone() })
        }
    })
}

/// The attempt whose result is unknown.
fn undecided(state: &StepState) -> Option<&Attempt> {
    match state {
        StepState::Interrupted(attempt) | StepState::Observing(attempt) => Some(attempt),
        StepState::Settling(Settling::AttemptFailed { attempt, next: Next::Run | Next::Observe(_), .. }) => {
            Some(attempt)
        }
        _ => None,
    }
}

/// Where an operator can decide about a step that did not ask: nothing is in flight for it, and it was neither done nor left out.
pub(super) fn may_be_dealt_with(state: &StepState) -> bool {
    match state {
        StepState::Waiting | StepState::Awaiting(_) | StepState::Failed { .. } | StepState::Cancelled => true,
        StepState::BackingOff { next, .. } | StepState::Settling(Settling::AttemptFailed { next, .. }) => {
            !matches!(next, Next::Undo { .. })
        }
        _ => false,
    }
}
