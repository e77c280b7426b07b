//! The journal's events: a closed enum of past-tense facts. `Run::apply` gives each its meaning.

mod words;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::words::{KnownBy, OperatorAnswer, Outcome, SkipReason};
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
    /// The step is not done. Where an operator said so, it counts as done for the steps that need it; was it the last failed step
    /// that kept the run from going on, then the run goes on.
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
        /// Two different people must say yes.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        four_eyes: bool,
        /// An answer after this instant is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<Timestamp>,
    },
    /// A person said yes or no. A yes (with `four_eyes`: the second one) is followed by `StepSucceeded`, a no by `StepFailed`.
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
        /// Why, where the step did not ask for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A step that a person did is done.
    ResolvedByHand {
        /// Which step.
        step: StepId,
        /// Who did it.
        who: Person,
        /// What was handed in; also `steps.<id>.outputs`.
        evidence: Value,
        /// Why, where the step did not ask for it: an operator did the work of an action, say. Was it the last failed step that
        /// kept the run from going on, then the run goes on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The engine cannot decide: an operator must say what became of an interrupted attempt.
    OperatorAsked {
        /// Which step.
        step: StepId,
        /// Why the engine cannot tell.
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
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An operator wants a step left out when its turn comes; until then it holds its place in the order.
    SkipScheduled {
        /// Which step.
        step: StepId,
        /// Who.
        who: Person,
        /// Why.
        reason: String,
    },
    /// An operator wants the next attempt of a step now, and `retry` to count anew.
    RetryRequested {
        /// Which step.
        step: StepId,
        /// Who.
        who: Person,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An operator wants these steps, which were over, once more: they wait for their needs again, and a run that had failed goes
    /// on. What was cancelled or skipped because of them waits again too.
    StepsReopened {
        /// Which steps.
        steps: Vec<StepId>,
        /// Who.
        who: Person,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Somebody said when users first noticed: the RTO counts from then.
    OnsetStated {
        /// When.
        onset: Timestamp,
        /// Who says so.
        who: Person,
    },
    /// Nothing new begins, nothing is decided and no time-out counts until it is unpaused. What runs ends.
    RunPaused {
        /// Who.
        who: Person,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The run goes on; every time-out and wait ends later by the length of the pause.
    RunUnpaused {
        /// Who.
        who: Person,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Somebody or something asked to end the run early. Nothing new starts.
    AbortRequested {
        /// Who.
        who: Person,
        /// Why.
        reason: String,
        /// What runs is waited for, and then everything is taken back. Otherwise everything is cut off.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undo: bool,
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

    /// Whether a person, or a policy in a person's stead, did it.
    pub fn who(&self) -> Option<&Person> {
        match self {
            Self::ApprovalAnswered { who, .. }
            | Self::HandsReported { who, .. }
            | Self::ResolvedByHand { who, reason: Some(_), .. }
            | Self::OperatorAnswered { who, .. }
            | Self::StepSkipped { reason: SkipReason::ByOperator { who, .. }, .. }
            | Self::SkipScheduled { who, .. }
            | Self::RetryRequested { who, .. }
            | Self::StepsReopened { who, .. }
            | Self::RunPaused { who, .. }
            | Self::RunUnpaused { who, .. }
            | Self::OnsetStated { who, .. }
            | Self::AbortRequested { who, .. } => Some(who),
            _ => None,
        }
    }

    /// The step it is about; `None` where it is about the run.
    pub fn step(&self) -> Option<&StepId> {
        match self {
            Self::RunStarted(_)
            | Self::StepsReopened { .. }
            | Self::RunPaused { .. }
            | Self::RunUnpaused { .. }
            | Self::OnsetStated { .. }
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
            | Self::RetryRequested { step, .. }
            | Self::SkipScheduled { step, .. }
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
    /// The people of each role, as the bindings name them: login names, and `group:NAME` for groups of the operating system.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub people: BTreeMap<String, Vec<String>>,
    /// When users first noticed, where that was known: the RTO counts from then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onset: Option<Timestamp>,
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
