//! What a person may tell a run that did not ask, and what is refused.
//!
//! [`judge`] is the only place that decides it: what it accepts is the event that `decide` records, and what it refuses is what the
//! person is told. Whether a request may come at all is decided by the file system, before it gets here.

mod case;
mod evidence;
mod judge;
mod people;
mod refusal;
mod retry;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{evidence::wanted, judge::judge, people::may_answer, refusal::Refusal, retry::behind};
use crate::{
    event::{OperatorAnswer, Person},
    name::StepId,
};

/// A request of a person to a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The person, as the operating system knows them.
    pub who: Person,
    /// The groups of the operating system that they are in, as far as a role of this run names groups.
    pub groups: BTreeSet<String>,
    /// The command.
    pub command: Command,
}

impl Request {
    fn person(&self) -> (&Person, &BTreeSet<String>) {
        (&self.who, &self.groups)
    }
}

/// A command that a person can send to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Approve an `approve` step.
    Approve {
        /// Id of the step.
        step: StepId,
        /// The comment of the person.
        #[serde(default)]
        comment: Option<String>,
    },
    /// Reject an `approve` step.
    Reject {
        /// Id of the step.
        step: StepId,
        /// The comment of the person.
        #[serde(default)]
        comment: Option<String>,
    },
    /// Skip a step; steps that need it continue.
    Skip {
        /// Id of the step.
        step: StepId,
        /// The reason, as the person gave it.
        reason: String,
    },
    /// Report that a person did the work of a step.
    Resolve {
        /// Id of the step.
        step: StepId,
        /// The evidence: an object of names and values, which become the step's outputs.
        evidence: Value,
        /// The reason; required if the step did not ask for manual work.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Make another attempt now.
    Retry {
        /// Ids of the steps.
        steps: Vec<StepId>,
        /// Whether all steps after them are repeated too.
        #[serde(default)]
        from: bool,
        /// Whether the person confirmed that steps may be repeated although that may do harm.
        #[serde(default)]
        confirmed: bool,
        /// The reason, as the person gave it.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Decide what became of an interrupted attempt.
    Decide {
        /// Id of the step.
        step: StepId,
        /// The decision.
        answer: OperatorAnswer,
    },
    /// Begin nothing new until the run is unpaused.
    Pause {
        /// The reason, as the person gave it.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Continue a paused run.
    Unpause {
        /// The reason, as the person gave it.
        #[serde(default)]
        reason: Option<String>,
    },
    /// State when users first noticed.
    Onset {
        /// The time at which users first noticed.
        onset: Timestamp,
    },
    /// End the run early; with `undo` also undo a run that failed or was ended.
    Abort {
        /// The reason, as the person gave it.
        #[serde(default)]
        reason: Option<String>,
        /// Whether what was done is undone.
        #[serde(default)]
        undo: bool,
    },
}
