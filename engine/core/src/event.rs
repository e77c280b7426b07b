//! The journal's events: a closed enum of past-tense facts. `Run::apply` gives each its meaning.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    failure::{Failure, Reason},
    name::{RoleName, RunId, StepId},
    plan::RunbookRef,
};

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// First event of every journal.
    RunStarted(RunStarted),
    /// An attempt of a step may now begin.
    StepStarted {
        /// Which step.
        step: StepId,
        /// Counted from 1.
        attempt: u32,
        /// What the action (of a manual step: its `verify`) gets, rendered.
        parameters: Value,
        /// The attempt is over at this instant.
        deadline: Option<Timestamp>,
    },
    /// The list of a `for_each` is known. Its items are steps of the run from now on: `step[0]`, `step[1]` …
    FanOutBegan {
        /// Which step.
        step: StepId,
        /// The list.
        items: Vec<Value>,
    },
    /// An attempt did what it should.
    StepSucceeded {
        /// Which step.
        step: StepId,
        /// Which attempt; 0 for an approval, and for a list whose items are all done.
        attempt: u32,
        /// `steps.<id>.outputs` from now on.
        outputs: Value,
        /// One line for people.
        summary: String,
        /// How it is known.
        known_by: KnownBy,
    },
    /// An attempt (to run, observe, verify or undo) failed; the next event of the step says what follows.
    AttemptFailed {
        /// Which step.
        step: StepId,
        /// Which attempt.
        attempt: u32,
        /// Why.
        failure: Failure,
    },
    /// The step will be tried again.
    RetryScheduled {
        /// Which step.
        step: StepId,
        /// Not before.
        until: Timestamp,
    },
    /// The step is lost.
    StepFailed {
        /// Which step.
        step: StepId,
        /// The failure that decided it.
        failure: Failure,
    },
    /// The step is not done.
    StepSkipped {
        /// Which step.
        step: StepId,
        /// Why.
        reason: SkipReason,
    },
    /// The engine ended while the attempt ran; nobody knows how far it came.
    AttemptInterrupted {
        /// Which step.
        step: StepId,
        /// Which attempt.
        attempt: u32,
    },
    /// The plugin is asked whether the interrupted attempt took effect.
    ObservationStarted {
        /// Which step.
        step: StepId,
        /// The interrupted attempt.
        attempt: u32,
    },
    /// The plugin says that the interrupted attempt did not take effect: it may be run again.
    ObservedNotDone {
        /// Which step.
        step: StepId,
        /// The interrupted attempt.
        attempt: u32,
    },
    /// A person is asked for a yes or no.
    ApprovalRequested {
        /// Which step.
        step: StepId,
        /// Roles of the people who may answer.
        by: Vec<String>,
        /// What they are asked.
        message: String,
    },
    /// A person said yes or no. A yes is followed by `StepSucceeded`, a no by `StepFailed`.
    ApprovalAnswered {
        /// Which step.
        step: StepId,
        /// Who answered.
        who: Person,
        /// The answer.
        approved: bool,
        /// Why.
        comment: Option<String>,
    },
    /// A person is asked to do something.
    HandsRequested {
        /// Which step.
        step: StepId,
        /// What to do.
        instruction: String,
        /// What to hand in: name and type.
        evidence: BTreeMap<String, String>,
    },
    /// A person did it and handed in the evidence; `verify`, where there is one, starts next.
    HandsReported {
        /// Which step.
        step: StepId,
        /// Who did it.
        who: Person,
        /// What was handed in.
        evidence: Value,
    },
    /// A step that a person did is done.
    ResolvedByHand {
        /// Which step.
        step: StepId,
        /// Who did it.
        who: Person,
        /// What was handed in; also `steps.<id>.outputs`.
        evidence: Value,
    },
    /// The engine can not decide: an operator must say what became of an interrupted attempt.
    OperatorAsked {
        /// Which step.
        step: StepId,
        /// Why the engine can not tell.
        reason: Reason,
    },
    /// The operator decided about an interrupted attempt.
    OperatorAnswered {
        /// Which step.
        step: StepId,
        /// Who.
        who: Person,
        /// What.
        answer: OperatorAnswer,
    },
    /// Somebody or something asked to end the run early. Nothing new starts.
    AbortRequested {
        /// Who.
        who: Person,
        /// Why.
        reason: String,
    },
    /// A step will not run, or was stopped, because the run ends early.
    StepCancelled {
        /// Which step.
        step: StepId,
    },
    /// What was done is now taken back, last first.
    UndoBegan,
    /// An attempt to take a step back may now begin.
    UndoStarted {
        /// Which step.
        step: StepId,
        /// Counted from 1, apart from the step's own attempts.
        attempt: u32,
        /// What the action gets, rendered.
        parameters: Value,
        /// The attempt is over at this instant.
        deadline: Option<Timestamp>,
    },
    /// The step is taken back.
    StepUndone {
        /// Which step.
        step: StepId,
    },
    /// The step could not be taken back.
    UndoFailed {
        /// Which step.
        step: StepId,
        /// Why.
        failure: Failure,
    },
    /// The recovery has ended; the handlers begin.
    HandlersBegan {
        /// How it ended.
        ending: Outcome,
    },
    /// Last event of every finished journal.
    RunFinished {
        /// How it ended.
        outcome: Outcome,
    },
}

impl Event {
    /// Whether something begins with it: a call, or a question to a person. Every other event only says what is known, and
    /// leaves nothing new in `due`.
    pub fn begins_something(&self) -> bool {
        matches!(
            self,
            Self::StepStarted { .. }
                | Self::ObservationStarted { .. }
                | Self::UndoStarted { .. }
                | Self::ApprovalRequested { .. }
                | Self::HandsRequested { .. }
                | Self::OperatorAsked { .. }
        )
    }

    /// The step it is about; `None` where it is about the run.
    pub fn step(&self) -> Option<&StepId> {
        match self {
            Self::RunStarted(_)
            | Self::AbortRequested { .. }
            | Self::UndoBegan
            | Self::HandlersBegan { .. }
            | Self::RunFinished { .. } => None,
            Self::StepStarted { step, .. }
            | Self::FanOutBegan { step, .. }
            | Self::StepSucceeded { step, .. }
            | Self::AttemptFailed { step, .. }
            | Self::RetryScheduled { step, .. }
            | Self::StepFailed { step, .. }
            | Self::StepSkipped { step, .. }
            | Self::AttemptInterrupted { step, .. }
            | Self::ObservationStarted { step, .. }
            | Self::ObservedNotDone { step, .. }
            | Self::ApprovalRequested { step, .. }
            | Self::ApprovalAnswered { step, .. }
            | Self::HandsRequested { step, .. }
            | Self::HandsReported { step, .. }
            | Self::ResolvedByHand { step, .. }
            | Self::OperatorAsked { step, .. }
            | Self::OperatorAnswered { step, .. }
            | Self::StepCancelled { step }
            | Self::UndoStarted { step, .. }
            | Self::StepUndone { step }
            | Self::UndoFailed { step, .. } => Some(step),
        }
    }
}

/// What a run is started with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// The run.
    pub run: RunId,
    /// Version of the journal's format.
    pub format: u32,
    /// Which runbook.
    pub runbook: RunbookRef,
    /// `sha256:…` of the plan.
    pub plan_digest: String,
    /// Version of the engine.
    pub engine: String,
    /// Every input with its value.
    pub inputs: Value,
    /// What expressions may know of the real systems behind the roles; never a secret.
    pub targets: BTreeMap<RoleName, Value>,
    /// Whether anything may be changed.
    pub mode: Mode,
    /// Who started it.
    pub who: Person,
}

/// Whether a run may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It may do what its grants allow.
    Real,
    /// The host refuses everything above `read`.
    DryRun,
}

/// Somebody, or a named policy that stands in for somebody in a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Person {
    /// A user of the operating system.
    User {
        /// The login name.
        name: String,
    },
    /// A rule that answers in a drill; the report names it.
    Policy {
        /// Its name.
        name: String,
    },
    /// The engine itself, as on a signal.
    Engine,
}

impl std::fmt::Display for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User { name } => f.write_str(name),
            Self::Policy { name } => write!(f, "policy `{name}`"),
            Self::Engine => f.write_str("the engine"),
        }
    }
}

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
}

/// Why a step was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum SkipReason {
    /// Its `when` is false.
    WhenFalse,
    /// A step that it needs failed or was skipped because of a failure (`on_failure: continue`).
    NeedNotMet {
        /// That step.
        step: StepId,
    },
    /// It is there for a recovery that did not go through, and this one did.
    NothingFailed,
    /// In a dry-run: it came to where it would change something. What needs it goes on.
    WouldRun {
        /// What the action was given.
        parameters: Value,
    },
    /// In a dry-run: it would ask somebody. What needs it goes on.
    WouldAsk {
        /// The question, or what is to be done.
        message: String,
    },
    /// In a dry-run: it would need to know what steps that were left out would have told. What needs it goes on.
    NotKnown {
        /// What the step would be given, with the expression itself where its value is not known.
        parameters: Value,
        /// What is not known: `steps.find.outputs.xid`.
        unknown: Vec<String>,
    },
    /// In a dry-run: it failed, perhaps because a step before it was left out. What needs it goes on.
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
        !matches!(self, Self::WhenFalse | Self::NeedNotMet { .. } | Self::NothingFailed)
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
    /// A step failed and everything was taken back.
    RolledBack,
    /// Somebody ended it.
    Aborted,
    /// A dry-run came to its end. Nothing was changed, so nothing is done.
    DryRun,
}
