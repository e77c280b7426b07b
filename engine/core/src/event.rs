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
        /// Id of the step.
        step: StepId,
        /// Number of the attempt, counted from 1.
        attempt: u32,
        /// What the action (of a manual step: its `verify`) gets, rendered.
        parameters: Value,
        /// The time at which the attempt is cut off; `None`: no limit.
        deadline: Option<Timestamp>,
    },
    /// The list of a `for_each` is known. Its items are steps of the run from now on: `step[0]`, `step[1]` …
    FanOutBegan {
        /// Id of the step.
        step: StepId,
        /// The list.
        items: Vec<Value>,
    },
    /// An attempt did what it should.
    StepSucceeded {
        /// Id of the step.
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
        /// Id of the step.
        step: StepId,
        /// Number of the attempt, counted from 1.
        attempt: u32,
        /// What went wrong, with its code.
        failure: Failure,
    },
    /// The step will be retried.
    RetryScheduled {
        /// Id of the step.
        step: StepId,
        /// The next attempt starts at this time.
        until: Timestamp,
    },
    /// The step has failed; it is not retried.
    StepFailed {
        /// Id of the step.
        step: StepId,
        /// The failure that decided it.
        failure: Failure,
    },
    /// The step is not done. If an operator skipped it, it counts as done for the steps that need it; a failed run continues when
    /// its last failed step is skipped.
    StepSkipped {
        /// Id of the step.
        step: StepId,
        /// The reason for skipping it.
        reason: SkipReason,
    },
    /// The engine ended while the attempt ran; its effect is unknown.
    AttemptInterrupted {
        /// Id of the step.
        step: StepId,
        /// Number of the attempt, counted from 1.
        attempt: u32,
    },
    /// The plugin is asked whether the interrupted attempt took effect.
    ObservationStarted {
        /// Id of the step.
        step: StepId,
        /// The interrupted attempt.
        attempt: u32,
    },
    /// The plugin says that the interrupted attempt did not take effect: it may be run again.
    ObservedNotDone {
        /// Id of the step.
        step: StepId,
        /// The interrupted attempt.
        attempt: u32,
    },
    /// A person is asked for a yes or no.
    ApprovalRequested {
        /// Id of the step.
        step: StepId,
        /// Roles of the people who may answer.
        by: Vec<String>,
        /// The question.
        message: String,
        /// Whether two different people must approve.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        four_eyes: bool,
        /// The time from which an answer no longer counts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<Timestamp>,
    },
    /// A person said yes or no. A yes (with `four_eyes`: the second one) is followed by `StepSucceeded`, a no by `StepFailed`.
    ApprovalAnswered {
        /// Id of the step.
        step: StepId,
        /// Who answered.
        who: Person,
        /// Whether the answer was a yes.
        approved: bool,
        /// The comment of the person.
        comment: Option<String>,
    },
    /// A person is asked to do something.
    HandsRequested {
        /// Id of the step.
        step: StepId,
        /// The instruction for the person.
        instruction: String,
        /// The evidence that is asked for: names, each with its type as text.
        evidence: BTreeMap<String, String>,
    },
    /// A person did it and gave the evidence; `verify`, if the step has one, starts next.
    HandsReported {
        /// Id of the step.
        step: StepId,
        /// Who did it.
        who: Person,
        /// The evidence: an object of names and values.
        evidence: Value,
        /// The reason, if the step did not ask for manual work.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A step that a person did is done.
    ResolvedByHand {
        /// Id of the step.
        step: StepId,
        /// Who did it.
        who: Person,
        /// The evidence: an object of names and values; also `steps.<id>.outputs`.
        evidence: Value,
        /// The reason, if the step did not ask for manual work: for example, an operator did the work of an action. A failed run
        /// continues when its last failed step is resolved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The engine cannot decide: an operator must say what became of an interrupted attempt.
    OperatorAsked {
        /// Id of the step.
        step: StepId,
        /// Why the engine cannot decide by itself.
        reason: Reason,
    },
    /// The operator decided about an interrupted attempt.
    OperatorAnswered {
        /// Id of the step.
        step: StepId,
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The decision.
        answer: OperatorAnswer,
        /// The reason, as the person gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An operator requested to skip a step when its turn comes; until then it keeps its place in the order.
    SkipScheduled {
        /// Id of the step.
        step: StepId,
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The reason, as the person gave it.
        reason: String,
    },
    /// An operator requested the next attempt of a step now; `retry` starts counting again.
    RetryRequested {
        /// Id of the step.
        step: StepId,
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The reason, as the person gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An operator requested to repeat these steps, which were over: they wait for their needs again, and a failed run continues.
    /// Steps that were cancelled or skipped because of them wait again too.
    StepsReopened {
        /// Ids of the steps.
        steps: Vec<StepId>,
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The reason, as the person gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A person stated when users first noticed: the RTO counts from then.
    OnsetStated {
        /// The time at which users first noticed.
        onset: Timestamp,
        /// The person who stated it.
        who: Person,
    },
    /// Nothing new begins, nothing is decided and no time-out counts until the run is unpaused. Running calls end.
    RunPaused {
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The reason, as the person gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The run continues; every time-out and wait ends later by the length of the pause.
    RunUnpaused {
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The reason, as the person gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A person or a program requested the early end of the run. Nothing new starts.
    AbortRequested {
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The reason, as the person gave it.
        reason: String,
        /// Whether running steps end first and then everything is undone. Otherwise everything is cut off.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undo: bool,
    },
    /// A step will not run, or was stopped, because the run ends early.
    StepCancelled {
        /// Id of the step.
        step: StepId,
    },
    /// From here on, what was done is undone, last first.
    UndoBegan,
    /// An attempt to undo a step may now begin.
    UndoStarted {
        /// Id of the step.
        step: StepId,
        /// Number of the undo attempt, counted from 1, separately from the step's own attempts.
        attempt: u32,
        /// What the action gets, rendered.
        parameters: Value,
        /// The time at which the attempt is cut off; `None`: no limit.
        deadline: Option<Timestamp>,
    },
    /// The step is undone.
    StepUndone {
        /// Id of the step.
        step: StepId,
    },
    /// The step could not be undone.
    UndoFailed {
        /// Id of the step.
        step: StepId,
        /// What went wrong, with its code.
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
    /// Whether it begins something: a call, or a question to a person. Every other event only records what is known, and adds
    /// nothing to `due`.
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

    /// The person who did it, or the policy that answered for a person.
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

/// A person, or a named policy that stands in for one in a drill.
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
