//! The plan: what will be executed. Immutable, with a digest, made by `compile`; in tests also by [`sketch`](crate::sketch).

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    action::Effect,
    digest::sha256,
    every::Every,
    expression::{Expression, Template},
    failure::FailureKind,
    name::{ActionName, RoleName, StepId},
    needs::Needs,
    types::{TargetKind, Type},
};

/// The place of a step in [`Plan::steps`].
pub type StepIndex = usize;

/// A runbook, checked and put in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The runbook it was made from.
    pub runbook: RunbookRef,
    /// What the recovery must achieve.
    pub objectives: Objectives,
    /// How often it has to be executed with success; `None` of what is not executed regularly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Every>,
    /// The inputs that are given when the run starts, by name.
    pub inputs: BTreeMap<String, InputDeclaration>,
    /// The roles and what may be done with each.
    pub targets: BTreeMap<RoleName, TargetDeclaration>,
    /// Steps in topological order; where the order is free, as the author wrote them. Those of a called runbook stand together.
    pub steps: Vec<Step>,
    /// The runbooks that are called, each call on its own, the outer ones first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub called: Vec<CalledRunbook>,
    /// The variant that it was made for; `None` if the runbook has no variants, or if the plan still contains both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Variant>,
}

/// The situation for which a step is meant. A step without a variant runs in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// Nothing is broken: a planned switch, a rehearsal in production.
    Planned,
    /// A system is lost.
    Disaster,
}

impl Variant {
    /// Every variant, in the order of the documentation.
    pub const ALL: [Self; 2] = [Self::Planned, Self::Disaster];

    /// The word for it in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Disaster => "disaster",
        }
    }

    /// The variant that a YAML word means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variant| variant.as_str() == word)
    }
}

/// The place of a call in [`Plan::called`].
pub type CallIndex = usize;

/// A runbook that a step calls. Its steps stand in the plan like all others, under the path of that step: `reports/restore`. In
/// their expressions `inputs`, `targets` and `steps` are those of the called runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalledRunbook {
    /// The path of the step that calls it.
    pub path: StepId,
    /// The file, as the calling runbook names it.
    pub file: String,
    /// Identifies the called runbook.
    pub runbook: RunbookRef,
    /// The call whose runbook contains that step; `None`: the started runbook.
    pub within: Option<CallIndex>,
    /// Its inputs; expressions in them refer to the calling runbook.
    pub inputs: BTreeMap<String, CalledInput>,
    /// Maps the role names of the called runbook to roles of the plan.
    pub targets: BTreeMap<RoleName, RoleName>,
    /// If false, none of its steps runs; it refers to the calling runbook.
    pub when: Option<Expression>,
    /// The line of the step, counted from 1, in the file that it stands in.
    pub line: u32,
}

/// An input of a called runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalledInput {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Its value, still with expressions.
    pub value: Template,
}

/// Identifies a runbook, so that a report can be compared with the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunbookRef {
    /// `DR-003`.
    pub id: String,
    /// For people.
    pub name: String,
    /// `sha256:…` of the file's bytes.
    pub digest: String,
}

impl Plan {
    /// `sha256:…` of the plan's canonical JSON: the same for the same plan on every machine.
    pub fn digest(&self) -> String {
        Self::digest_of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// The digest of a plan as it was stored: a later engine may write the same plan differently.
    pub fn digest_of(stored: &[u8]) -> String {
        sha256(stored)
    }

    /// The graph of the needs.
    pub(crate) fn needs(&self) -> Needs {
        Needs::of(self.steps.iter().map(|step| step.needs.as_slice()))
    }

    /// The name of a step within the runbook of this call, if that runbook, or one that it calls, contains the step.
    pub fn name_within<'p>(&self, within: Option<CallIndex>, id: &'p StepId) -> Option<&'p str> {
        match within {
            None => Some(id.as_str()),
            Some(call) => id.as_str().strip_prefix(self.called.get(call)?.path.as_str())?.strip_prefix('/'),
        }
    }

    /// The place of the step of that name.
    pub fn position(&self, id: &StepId) -> Option<StepIndex> {
        self.steps.iter().position(|step| step.id == *id)
    }
}

impl Step {
    /// The action that it runs, if it is of that kind.
    pub fn action(&self) -> Option<&Invocation> {
        match &self.kind {
            StepKind::Uses(invocation) => Some(invocation),
            _ => None,
        }
    }

    /// The action that checks what a person did, if there is one.
    pub fn verify(&self) -> Option<&Invocation> {
        match &self.kind {
            StepKind::Manual { verify, .. } => verify.as_ref(),
            _ => None,
        }
    }
}

/// Recovery objectives. Objectives that are not set are not evaluated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Objectives {
    /// Longest tolerable outage.
    pub rto: Option<SignedDuration>,
    /// Longest tolerable period of lost writes.
    pub rpo: Option<SignedDuration>,
    /// From which instant the RTO counts.
    pub clock: Clock,
    /// The step after which users are served again; `None`: the last one of the recovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_by: Option<String>,
    /// How many days back it must be possible to recover to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_days: Option<u32>,
}

/// From which instant the RTO counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// The first user noticed.
    #[default]
    Onset,
    /// Monitoring noticed.
    Detect,
    /// Somebody declared the disaster.
    Declare,
}

/// An input as the runbook declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputDeclaration {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// For people.
    pub description: String,
    /// The value if none is given; `None`: the input is required.
    pub default: Option<Value>,
}

/// A role as the runbook declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetDeclaration {
    /// The kind of system that plays it.
    pub kind: TargetKind,
    /// The most that any step may do with it.
    pub access: Effect,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// The title that the author gave it.
    pub title: Option<String>,
    /// The steps that must have succeeded before it starts; each index is smaller than its own.
    pub needs: Vec<StepIndex>,
    /// What it does.
    pub kind: StepKind,
    /// It is skipped if this is false.
    pub when: Option<Expression>,
    /// Longest time for one attempt.
    pub timeout: Option<SignedDuration>,
    /// Longest time for all attempts, including the waits between them. Only a step that runs an action has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<SignedDuration>,
    /// How long its author expects it to take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<SignedDuration>,
    /// When to retry it.
    pub retry: Retry,
    /// How to undo it.
    pub undo: Option<Invocation>,
    /// What its failure means for the run.
    pub on_failure: OnFailure,
    /// The call whose runbook contains it; `None`: the started runbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<CallIndex>,
    /// The line of its runbook, counted from 1, for messages.
    pub line: u32,
    /// Which part of the runbook it belongs to. The steps of each part stand together, in the order of [`Section`].
    #[serde(default, skip_serializing_if = "Section::is_steps")]
    pub section: Section,
    /// It runs once for each item of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// The only variant in which it runs. `None` for every step of a plan that was made for one variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Variant>,
}

/// A part of a runbook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// The recovery itself.
    #[default]
    Steps,
    /// Handlers that run if the recovery failed, was rolled back or was aborted.
    OnFailure,
    /// Handlers that run at the end, however the recovery ended.
    Finally,
}

impl Section {
    fn is_steps(&self) -> bool {
        *self == Self::Steps
    }
}

/// The list of a step that runs once for each item. Its items are steps of the run, named `step[0]`, `step[1]` …
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Each {
    /// The list; evaluated once, when the step begins.
    pub over: Expression,
    /// The type of an item, as far as it is known.
    #[serde(default = "any_type", skip_serializing_if = "is_any_type")]
    pub item: Type,
    /// How many items may be in flight at once, 1 or more.
    pub max_parallel: u32,
    /// Whether an empty list is a plain success, and not an exception.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_empty: bool,
}

fn any_type() -> Type {
    Type::Json
}

fn is_any_type(ty: &Type) -> bool {
    *ty == Type::Json
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StepKind {
    /// Runs an action of a plugin.
    Uses(Invocation),
    /// Waits for the approval of a person.
    Approve {
        /// Roles of the people who may answer; empty: anyone who can reach the run.
        by: Vec<String>,
        /// The question.
        message: Template,
        /// Whether two different people must approve.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        four_eyes: bool,
        /// Time after which the question expires, counted from when it was first asked; `None`: never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<SignedDuration>,
    },
    /// Waits for a person to do something outside of Lifeboat.
    Manual {
        /// The instruction for the person.
        instruction: Template,
        /// The evidence that must be given, by name.
        evidence: BTreeMap<String, Type>,
        /// The action that verifies the work before the run continues.
        verify: Option<Invocation>,
    },
}

/// An action with its parameters, and its properties that decisions depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// The action to call.
    pub action: ActionName,
    /// Its parameters, still with expressions.
    pub with: BTreeMap<String, Template>,
    /// The targets among the parameters, and what the action does with each: the grants of the call.
    pub grants: BTreeMap<RoleName, Effect>,
    /// The strongest effect, from the catalogue.
    pub effect: Effect,
    /// Whether running it twice has the same effect as running it once.
    pub idempotent: bool,
    /// Whether the plugin can find out if an interrupted attempt took effect.
    pub observable: bool,
    /// The declared types of its parameters; rendered values are checked against them.
    #[serde(default)]
    pub parameters: BTreeMap<String, Type>,
    /// The declared types of its outputs: expressions see timestamps and durations as such.
    #[serde(default)]
    pub outputs: BTreeMap<String, Type>,
}

/// When and how often to retry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// Number of attempts, including the first; 1 or more.
    pub attempts: u32,
    /// Wait before the second attempt; doubled for each further attempt.
    pub backoff: SignedDuration,
    /// Longest wait between two attempts.
    pub backoff_max: SignedDuration,
    /// The kinds of failure after which another attempt is made.
    pub on: Vec<FailureKind>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            backoff: SignedDuration::from_secs(1),
            backoff_max: SignedDuration::from_mins(5),
            on: vec![FailureKind::Transient],
        }
    }
}

/// What a step's failure means for the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Nothing new starts, running steps end, and the run has failed.
    #[default]
    Stop,
    /// The run continues without it and can end at best with exceptions.
    Continue,
    /// As `stop`; then what was done is undone, last first.
    Undo,
}
