//! The words that events are written with: how something is known, why it was left out, how it ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Person;
use crate::{failure::Failure, name::StepId};

/// How the success of a step is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownBy {
    /// The attempt answered.
    Answer,
    /// The attempt was interrupted, and the plugin found its effect.
    Observation,
    /// A person approved.
    Approval,
    /// An operator said that the interrupted attempt took effect.
    Operator,
    /// Every item of its list is done.
    Items,
    /// Its list had no item, and its author has not said that this may be: nothing was done.
    NoItems,
}

/// Why a step was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum SkipReason {
    /// Its `when` is false.
    WhenFalse,
    /// It is a question or work by hand whose `when` is false: there was nothing to ask, and nothing is left undone.
    NotAsked,
    /// A step that it needs failed or was skipped because of a failure (`on_failure: continue`).
    NeedNotMet {
        /// That step.
        step: StepId,
    },
    /// It is there for a recovery that did not go through, and this one did.
    NothingFailed,
    /// It is there for the end of the run, cannot be repeated, and was done, or may have been, when the run ended before.
    DoneBefore,
    /// An operator said so. What needs it continues.
    ByOperator {
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The reason, as the person gave it.
        reason: String,
    },
    /// In a dry-run: it came to where it would change something. What needs it continues.
    WouldRun {
        /// What the action was given.
        parameters: Value,
    },
    /// In a dry-run: it would ask somebody. What needs it continues.
    WouldAsk {
        /// The question, or what is to be done.
        message: String,
    },
    /// In a dry-run: it would need to know what steps that were left out would have told. What needs it continues.
    NotKnown {
        /// What the step would be given, with the expression itself where its value is not known.
        parameters: Value,
        /// What is not known: `steps.find.outputs.xid`.
        unknown: Vec<String>,
    },
    /// In a dry-run: it failed, perhaps because a step before it was left out. What needs it continues.
    FailedBehind {
        /// The step that was left out.
        step: StepId,
        /// The failure.
        failure: Failure,
    },
}

impl SkipReason {
    /// Whether only a dry-run leaves a step out for it.
    pub fn is_of_a_dry_run(&self) -> bool {
        matches!(
            self,
            Self::WouldRun { .. } | Self::WouldAsk { .. } | Self::NotKnown { .. } | Self::FailedBehind { .. }
        )
    }
}

/// What an operator says about an interrupted attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum OperatorAnswer {
    /// It did not happen, or may safely happen again: run it again.
    RunAgain,
    /// It happened, with these outputs.
    ItHappened {
        /// `steps.<id>.outputs` from now on.
        outputs: Value,
    },
    /// Count the step as failed.
    GiveUp,
}

impl Outcome {
    /// The word for it in journals, in documents that other programs read, and in expressions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::SucceededWithExceptions => "succeeded_with_exceptions",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
            Self::Aborted => "aborted",
            Self::DryRun => "dry_run",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every step succeeded.
    Succeeded,
    /// It went through, but a step was skipped, done by hand, or failed with `on_failure: continue`.
    SucceededWithExceptions,
    /// A step failed.
    Failed,
    /// A step failed and everything was undone.
    RolledBack,
    /// Somebody ended it.
    Aborted,
    /// A dry-run came to its end. Nothing was changed, so nothing is done.
    DryRun,
}
