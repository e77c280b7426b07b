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

/// Something that happened outside and may move the run on.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Begin. Only valid for a run without events.
    Start(Box<RunStarted>),
    /// Time passed; the driver sends it when a wake-up that `due` asked for is reached.
    Tick,
    /// An attempt (or an undo attempt) answered.
    Answered {
        /// Which step.
        step: StepId,
        /// Which attempt; an answer of an older one is ignored.
        attempt: u32,
        /// Of which kind of call.
        purpose: Purpose,
        /// What it said.
        answer: Result<Done, Failure>,
    },
    /// A plugin said whether an interrupted attempt took effect.
    Observed {
        /// Which step.
        step: StepId,
        /// The interrupted attempt.
        attempt: u32,
        /// What it said, or why it could not be asked.
        observation: Result<Observation, Failure>,
    },
    /// Sent on resume for each step whose call was in flight when the engine ended.
    Interrupted {
        /// Which step.
        step: StepId,
    },
    /// A person answered an `approve` step.
    Approval {
        /// Which step.
        step: StepId,
        /// Who.
        who: Person,
        /// Yes or no.
        approved: bool,
        /// Why.
        comment: Option<String>,
    },
    /// A person did a `manual` step.
    Hands {
        /// Which step.
        step: StepId,
        /// Who.
        who: Person,
        /// What was handed in.
        evidence: Value,
    },
    /// The time for an answer to an `approve` or `manual` step is over. It counts while somebody can be asked, which only the
    /// world knows.
    Unanswered {
        /// Which step.
        step: StepId,
    },
    /// An operator decided about an interrupted attempt.
    Operator {
        /// Which step.
        step: StepId,
        /// Who.
        who: Person,
        /// What.
        answer: OperatorAnswer,
    },
    /// Somebody at another terminal wants something that the run did not ask for, or answers what it asks.
    Command(Box<Request>),
    /// End the run early.
    Abort {
        /// Who.
        who: Person,
        /// Why.
        reason: String,
    },
}

/// What a call that went well brought back.
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

/// What should be in flight. `due` computes the whole list anew each time; the driver compares it with what is.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A plugin call.
    Invoke(Call),
    /// Show a question to a person and bring back the answer.
    Ask {
        /// Which step.
        step: StepId,
        /// The question.
        question: Question,
        /// Send `Unanswered` where it has stood before somebody for so long.
        within: Option<SignedDuration>,
    },
    /// Send `Tick` at this instant.
    WakeAt(Timestamp),
    /// As `WakeAt`, where all that happens then is that a question to a person expires. It is no reason to wait where nobody can
    /// be asked: the time goes on without an engine, and the next one finds the question expired.
    ExpiresAt(Timestamp),
    /// The run is paused: wait for an operator, and let no time count against those who are asked.
    Hold,
}

/// A plugin call as the core wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Which step.
    pub step: StepId,
    /// Which attempt.
    pub attempt: u32,
    /// What for.
    pub purpose: Purpose,
    /// Which action.
    pub action: ActionName,
    /// Rendered parameters.
    pub parameters: Value,
    /// What the call may do with which target.
    pub grants: BTreeMap<RoleName, ActionEffect>,
    /// It is over at this instant.
    pub deadline: Option<Timestamp>,
}

/// What a call is for. Together with step and attempt it identifies a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Do the step.
    Run,
    /// Find out whether an interrupted attempt took effect.
    Observe,
    /// Check what a person did.
    Verify,
    /// Take the step back.
    Undo,
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Yes or no.
    Approve {
        /// Roles of the people who may answer.
        by: Vec<String>,
        /// What they are asked.
        message: String,
        /// Who has said yes already, where it takes two people: somebody else must answer.
        approved_by: Option<Person>,
    },
    /// Do something and hand in evidence.
    Hands {
        /// What to do.
        instruction: String,
        /// What to hand in.
        evidence: BTreeMap<String, Type>,
    },
    /// Say what became of an interrupted attempt.
    Decide {
        /// Why the engine cannot tell.
        reason: String,
    },
}
