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

/// What somebody wants of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Who, as the operating system knows them.
    pub who: Person,
    /// The groups of the operating system that they are in, as far as a role of this run names groups.
    pub groups: BTreeSet<String>,
    /// What.
    pub command: Command,
}

impl Request {
    fn person(&self) -> (&Person, &BTreeSet<String>) {
        (&self.who, &self.groups)
    }
}

/// What a run can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Yes, to an `approve` step.
    Approve {
        /// Id of the step.
        step: StepId,
        /// The comment of the person.
        #[serde(default)]
        comment: Option<String>,
    },
    /// No, to an `approve` step.
    Reject {
        /// Id of the step.
        step: StepId,
        /// The comment of the person.
        #[serde(default)]
        comment: Option<String>,
    },
    /// Leave a step out; what needs it continues.
    Skip {
        /// Id of the step.
        step: StepId,
        /// The reason, as the person gave it.
        reason: String,
    },
    /// A person did the work of a step.
    Resolve {
        /// Id of the step.
        step: StepId,
        /// What shows it: an object, also the step's outputs.
        evidence: Value,
        /// Why; needed where the step did not ask for hands.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Another attempt now.
    Retry {
        /// Of which steps.
        steps: Vec<StepId>,
        /// Whether everything behind them is done once more too.
        #[serde(default)]
        from: bool,
        /// The person has seen what would be done a second time.
        #[serde(default)]
        confirmed: bool,
        /// The reason, as the person gave it.
        #[serde(default)]
        reason: Option<String>,
    },
    /// What became of an interrupted attempt.
    Decide {
        /// Of which step.
        step: StepId,
        /// The decision.
        answer: OperatorAnswer,
    },
    /// Nothing new begins until the run is unpaused.
    Pause {
        /// The reason, as the person gave it.
        #[serde(default)]
        reason: Option<String>,
    },
    /// A paused run continues.
    Unpause {
        /// The reason, as the person gave it.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Say when users first noticed.
    Onset {
        /// The time at which users first noticed.
        onset: Timestamp,
    },
    /// End the run early, or take back what one that failed or was ended has done.
    Abort {
        /// The reason, as the person gave it.
        #[serde(default)]
        reason: Option<String>,
        /// Whether what was done is undone.
        #[serde(default)]
        undo: bool,
    },
}
