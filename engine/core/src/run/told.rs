//! What a state tells: the same words and sentences in the report of a drill, in `status` and in the JSON about a run.

use super::{Settling, StepState};
use crate::{event::KnownBy, failure::Failure};

impl StepState {
    /// The word for it in documents that other programs read. None is ever renamed.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running(_) => "running",
            Self::Interrupted(_) => "interrupted",
            Self::Observing(_) => "observing",
            Self::BackingOff { .. } => "backing_off",
            Self::Settling(_) => "settling",
            Self::FannedOut { .. } => "fanned_out",
            Self::Awaiting(_) => "awaiting",
            Self::Verifying { .. } => "verifying",
            Self::Succeeded { known_by: KnownBy::NoItems, .. } => "empty",
            Self::Succeeded { .. } => "succeeded",
            Self::ResolvedByHand { .. } => "resolved_by_hand",
            Self::Skipped { .. } => "skipped",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Undoing { .. } => "undoing",
            Self::Undone => "undone",
            Self::UndoFailed { .. } => "undo_failed",
        }
    }

    /// What the step said when it was done, where it said anything.
    pub fn summary(&self) -> Option<&str> {
        match self {
            Self::Succeeded { summary, .. } if !summary.is_empty() => Some(summary),
            _ => None,
        }
    }

    /// Why the step is lost, or waits for its next attempt or for a decision about that.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure }
            | Self::UndoFailed { failure, .. }
            | Self::BackingOff { failure, .. }
            | Self::Settling(Settling::AttemptFailed { failure, .. }) => Some(failure),
            _ => None,
        }
    }
}
