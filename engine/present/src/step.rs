//! How a step stands.

use jiff::Timestamp;
use lifeboat_core::run::{Awaiting, StepRun, StepState};

use crate::{elapsed, words};

/// Whether something is done for a step at this moment, or is waited for.
pub fn is_active(state: &StepState) -> bool {
    !state.is_over() && !matches!(state, StepState::Waiting)
}

/// Whether something was being done for the step when the engine ended, where none works on the run.
pub fn is_cut_off(state: &StepState, live: bool) -> bool {
    let at_work = matches!(
        state,
        StepState::Running(_) | StepState::Observing(_) | StepState::Verifying { .. } | StepState::Undoing { .. }
    );
    at_work && !live
}

/// What a person must do for a step, in a sentence.
pub fn waits_for(state: &StepState) -> Option<String> {
    let StepState::Awaiting(awaiting) = state else { return None };
    Some(match awaiting {
        Awaiting::Approval { by, message, approved_by, expires, .. } => {
            let second = approved_by
                .as_ref()
                .map(|first| format!(" (approved by {first}; a second person is needed)"))
                .unwrap_or_default();
            let until = expires.map(|expires| format!(" (until {expires:.0})")).unwrap_or_default();
            format!("approval by {}{second}{until}: {message}", words::people(by))
        }
        Awaiting::Hands { instruction, evidence } if evidence.is_empty() => format!("manual work: {instruction}"),
        Awaiting::Hands { instruction, evidence } => {
            let evidence: Vec<&str> = evidence.keys().map(String::as_str).collect();
            format!("manual work: {instruction} (evidence: {})", evidence.join(", "))
        }
        Awaiting::Decision { reason, .. } => format!("a decision: {}", reason.message),
    })
}

/// How long a step took, or has been at it; empty where it never began.
pub fn took(step: &StepRun, now: Timestamp) -> String {
    let Some(started) = step.started.filter(|_| step.attempts > 0) else { return String::new() };
    let goes_on = matches!(
        step.state,
        StepState::Running(_) | StepState::Observing(_) | StepState::BackingOff { .. } | StepState::Awaiting(_)
    );
    let end = if goes_on { Some(now) } else { step.changed };
    end.map(|end| elapsed::between(started, end)).unwrap_or_default()
}
