//! Why a request is refused, in words for the terminal that it came from. Nothing is journalled for it.

use serde::{Deserialize, Serialize};

use crate::run::{Awaiting, Next, Settling, StepRun, StepState};

/// A request that was not followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// A stable code; `lifeboat explain CODE` has a page for each.
    pub code: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Refusal {
    /// A refusal from its two parts.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

/// Where a step is, as the end of a sentence: "`restore` is running (attempt 2)".
pub(super) fn standing(step: &StepRun) -> String {
    let id = &step.id;
    match &step.state {
        StepState::FannedOut { .. } => format!("the items of `{id}` are running"),
        StepState::Waiting => format!("`{id}` waits for the steps that it needs"),
        StepState::Running(attempt) => format!("`{id}` is running (attempt {})", attempt.number),
        StepState::Interrupted(attempt) => format!("attempt {} of `{id}` was interrupted", attempt.number),
        StepState::Observing(_) | StepState::BackingOff { next: Next::Observe(_), .. } => {
            format!("the plugin is checking whether an interrupted attempt of `{id}` took effect")
        }
        StepState::BackingOff { next: Next::Undo { .. }, .. } | StepState::Undoing { .. } => {
            format!("`{id}` is being undone")
        }
        StepState::BackingOff { .. } => format!("`{id}` waits for its next attempt"),
        StepState::Settling(Settling::AttemptFailed { .. }) => format!("an attempt of `{id}` has failed"),
        StepState::Settling(_) => format!("`{id}` has just been answered"),
        StepState::Awaiting(Awaiting::Approval { .. }) => format!("`{id}` waits for an approval"),
        StepState::Awaiting(Awaiting::Hands { .. }) => format!("`{id}` waits for manual work"),
        StepState::Awaiting(Awaiting::Decision { .. }) => {
            format!("`{id}` waits for a decision about an interrupted attempt")
        }
        StepState::Verifying { .. } => format!("the manual work for `{id}` is being verified"),
        StepState::Succeeded { .. } => format!("`{id}` is over: it succeeded"),
        StepState::ResolvedByHand { .. } => format!("`{id}` is over: it was done by hand"),
        StepState::Skipped { .. } => format!("`{id}` is over: it was skipped"),
        StepState::Failed { .. } => format!("`{id}` is over: it failed"),
        StepState::Cancelled => format!("`{id}` was cancelled"),
        StepState::Undone => format!("`{id}` was undone"),
        StepState::UndoFailed { .. } => format!("`{id}` could not be undone"),
    }
}
