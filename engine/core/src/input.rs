//! What comes into the engine and what it wants done: the two rims of the pure core.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    action::Effect as ActionEffect,
    event::{OperatorAnswer, Person, RunStarted},
    failure::Failure,
    name::{ActionName, RoleName, StepId},
    operator::Request,
    types::Type,
};

/// Something that happened outside of the core and may advance the run.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Begin. Only valid for a run without events.
    Start(Box<RunStarted>),
    /// Time passed; the driver sends it when a wake-up that `due` asked for is reached.
    Tick,
    /// An attempt (or an undo attempt) answered.
    Answered {
        /// Id of the step.
        step: StepId,
        /// Number of the attempt, counted from 1; an answer of an older attempt is ignored.
        attempt: u32,
        /// The purpose of the call that answered.
        purpose: Purpose,
        /// What it said.
        answer: Result<Done, Failure>,
    },
    /// A plugin said whether an interrupted attempt took effect.
    Observed {
        /// Id of the step.
        step: StepId,
        /// The interrupted attempt.
        attempt: u32,
        /// What it said, or why it could not be asked.
        observation: Result<Observation, Failure>,
    },
    /// Sent on resume for each step whose call was in flight when the engine ended.
    Interrupted {
        /// Id of the step.
        step: StepId,
    },
    /// A person answered an `approve` step.
    Approval {
        /// Id of the step.
        step: StepId,
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// Whether the answer was a yes.
        approved: bool,
        /// The comment of the person.
        comment: Option<String>,
    },
    /// A person did a `manual` step.
    Hands {
        /// Id of the step.
        step: StepId,
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The evidence: an object of names and values.
        evidence: Value,
    },
    /// The time to answer an `approve` or `manual` step is over. The time counts only while somebody can be asked, which only the
    /// world knows.
    Unanswered {
        /// Id of the step.
        step: StepId,
    },
    /// An operator decided about an interrupted attempt.
    Operator {
        /// Id of the step.
        step: StepId,
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The decision.
        answer: OperatorAnswer,
    },
    /// A request from another terminal: an answer to a question, or something that the run did not ask for.
    Command(Box<Request>),
    /// End the run early.
    Abort {
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The reason, as the person gave it.
        reason: String,
    },
}

/// The result of a call that succeeded.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// An object with the action's outputs.
    pub outputs: Value,
    /// One line for people.
    pub summary: String,
}

/// Whether an interrupted attempt took effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// It did, with this result.
    Done(Done),
    /// It did not.
    NotDone,
    /// The plugin cannot tell.
    Unknown(String),
}

/// Something that should be in flight. `due` computes the whole list each time; the driver compares it with what is in flight.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A plugin call.
    Invoke(Call),
    /// Show a question to a person and bring back the answer.
    Ask {
        /// Id of the step.
        step: StepId,
        /// The question.
        question: Question,
        /// Send [`Input::Unanswered`] when the question has been open to somebody for this long; `None`: no limit.
        within: Option<SignedDuration>,
    },
    /// Send `Tick` at this instant.
    WakeAt(Timestamp),
    /// As `WakeAt`, if all that happens then is that a question to a person expires. It is not a reason to wait if nobody can be
    /// asked: the time continues without an engine, and the next engine finds the question expired.
    ExpiresAt(Timestamp),
    /// The run is paused: wait for an operator, and let no time count against those who are asked.
    Hold,
}

/// A plugin call as the core wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Id of the step.
    pub step: StepId,
    /// Number of the attempt, counted from 1.
    pub attempt: u32,
    /// The purpose of the call.
    pub purpose: Purpose,
    /// The action to call.
    pub action: ActionName,
    /// Rendered parameters.
    pub parameters: Value,
    /// What the call may do with which target.
    pub grants: BTreeMap<RoleName, ActionEffect>,
    /// The time at which it is cut off; `None`: no limit.
    pub deadline: Option<Timestamp>,
}

/// The purpose of a call. Together with step and attempt it identifies the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Do the step.
    Run,
    /// Find out whether an interrupted attempt took effect.
    Observe,
    /// Check what a person did.
    Verify,
    /// Undo the step.
    Undo,
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Yes or no.
    Approve {
        /// Roles of the people who may answer.
        by: Vec<String>,
        /// The question.
        message: String,
        /// The person who has already approved, if two people are needed: a second person must answer.
        approved_by: Option<Person>,
    },
    /// Do something and give evidence.
    Hands {
        /// The instruction for the person.
        instruction: String,
        /// The evidence that is asked for: names, each with its type.
        evidence: BTreeMap<String, Type>,
    },
    /// Say what became of an interrupted attempt.
    Decide {
        /// Why the engine cannot decide by itself.
        reason: String,
    },
}
