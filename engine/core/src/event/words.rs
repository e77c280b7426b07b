//! The words of events: how a success is known, why a step was skipped, how a run ended.

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
    /// Its list was empty without `allow_empty`: nothing was done.
    NoItems,
}

/// Why a step was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum SkipReason {
    /// Its `when` is false.
    WhenFalse,
    /// It is a question or manual work whose `when` is false: there was nothing to ask.
    NotAsked,
    /// A step that it needs failed or was skipped because of a failure (`on_failure: continue`).
    NeedNotMet {
        /// That step.
        step: StepId,
    },
    /// It is an `on_failure` handler, and the recovery succeeded.
    NothingFailed,
    /// It is a handler that cannot be repeated and may have run when the run ended the first time.
    DoneBefore,
    /// An operator skipped it. Steps that need it continue.
    ByOperator {
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The reason, as the person gave it.
        reason: String,
    },
    /// In a dry-run: it would change something. Steps that need it continue.
    WouldRun {
        /// The rendered parameters of the action.
        parameters: Value,
    },
    /// In a dry-run: it would ask a person. Steps that need it continue.
    WouldAsk {
        /// The question, or the instruction.
        message: String,
    },
    /// In a dry-run: it depends on outputs of skipped steps. Steps that need it continue.
    NotKnown {
        /// The parameters of the action; a parameter without a known value is the expression itself.
        parameters: Value,
        /// The unknown values: `steps.find.outputs.xid`.
        unknown: Vec<String>,
    },
    /// In a dry-run: it failed, perhaps because a step before it was skipped. Steps that need it continue.
    FailedBehind {
        /// The step that was skipped.
        step: StepId,
        /// The failure.
        failure: Failure,
    },
}

impl SkipReason {
    /// Whether it occurs only in a dry-run.
    pub fn is_of_a_dry_run(&self) -> bool {
        matches!(
            self,
            Self::WouldRun { .. } | Self::WouldAsk { .. } | Self::NotKnown { .. } | Self::FailedBehind { .. }
        )
    }
}

/// The decision of an operator about an interrupted attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum OperatorAnswer {
    /// It had no effect, or repeating it is harmless: run it again.
    RunAgain,
    /// It took effect, with these outputs.
    ItHappened {
        /// `steps.<id>.outputs` from now on.
        outputs: Value,
    },
    /// Treat the step as failed.
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
    /// The recovery is done, but a step was skipped, done by hand, or failed with `on_failure: continue`.
    SucceededWithExceptions,
    /// A step failed.
    Failed,
    /// A step failed and everything was undone.
    RolledBack,
    /// A person ended it.
    Aborted,
    /// A dry-run ended. Nothing was changed.
    DryRun,
}
