//! The state of a run: always equal to the fold of its journal.
//!
//! `apply` is the only function that changes a [`Run`]. What it allows is in `transition`; what happens next is decided
//! elsewhere, in `decide`.

mod agenda;
mod apply;
mod attention;
mod budget;
mod observation;
mod pause;
mod people;
mod reopen;
mod told;
mod transition;
mod wiring;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use self::{agenda::Agenda, wiring::Wiring};
use crate::{
    event::{KnownBy, OperatorAnswer, Outcome, Person, RunStarted, SkipReason},
    failure::{Failure, Reason},
    name::StepId,
    plan::{OnFailure, Plan, Section, StepIndex},
};

pub use self::{
    apply::Illegal,
    budget::{Budget, Since},
    pause::Pause,
};
pub(crate) use self::{attention::Readiness, observation::observation_deadline, reopen::is_unresolved};

/// The place of a step in [`Run::steps`]: the steps of the plan come first, each at its own place, and behind them the items of
/// lists.
pub type Slot = usize;

/// A run. [`Run::new`] gives the state before the first event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// What it was started with and when; `None` before the first event.
    pub started: Option<(Timestamp, RunStarted)>,
    /// When users first noticed, as last stated by somebody.
    pub onset: Option<Timestamp>,
    /// The phase of the run as a whole.
    pub phase: Phase,
    /// The pause; `None` if the run is not paused.
    pub pause: Option<Pause>,
    /// Steps that an operator requested to skip when their turn comes.
    pub skips: BTreeMap<Slot, SkipReason>,
    /// One entry for each step of the plan, in plan order, then one for each item of the lists that have begun.
    pub steps: Vec<StepRun>,
    /// Why it ended early; `None` if it did not.
    pub cause: Option<Cause>,
    items: Vec<Item>,
    index: BTreeMap<StepId, Slot>,
    wiring: Wiring,
    agenda: Agenda,
}

/// What an item of a list is.
#[derive(Debug, Clone, PartialEq)]
struct Item {
    of: StepIndex,
    value: Value,
}

impl Run {
    /// A run of this plan before its first event.
    pub fn new(plan: &Plan) -> Self {
        let wiring = Wiring::of(plan);
        let steps: Vec<_> =
            plan.steps.iter().map(|step| StepRun::waiting(step.id.clone(), step.on_failure, step.section)).collect();
        Self {
            started: None,
            onset: None,
            phase: Phase::NotStarted,
            cause: None,
            pause: None,
            skips: BTreeMap::new(),
            items: Vec::new(),
            index: plan.steps.iter().enumerate().map(|(index, step)| (step.id.clone(), index)).collect(),
            agenda: Agenda::of(&wiring, &steps),
            wiring,
            steps,
        }
    }

    /// The step of that name.
    pub fn find(&self, id: &StepId) -> Option<&StepRun> {
        self.steps.get(*self.index.get(id)?)
    }

    /// The items of a step that is done for each item of a list, once the list is known.
    pub fn items(&self, step: &StepId) -> &[StepRun] {
        let Some(first) = self.index.get(&step.item(0)) else { return &[] };
        let of = |slot: &Slot| self.items.get(slot - self.wiring.len()).map(|item| item.of);
        let end = (*first..self.steps.len()).find(|slot| of(slot) != of(first)).unwrap_or(self.steps.len());
        &self.steps[*first..end]
    }

    /// Whether it is an item of a list, and not a step of the plan.
    pub fn is_item(&self, step: &StepId) -> bool {
        self.index.get(step).is_some_and(|slot| *slot >= self.wiring.len())
    }

    /// How many steps are not over, items of lists included.
    pub fn unfinished(&self) -> usize {
        [Section::Steps, Section::OnFailure, Section::Finally].map(|section| self.agenda.open(section)).iter().sum()
    }

    /// Whether and how it ended.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.phase {
            Phase::Finished { outcome, .. } => Some(outcome),
            _ => None,
        }
    }
}

/// What ended a run early: the first thing of that kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The step whose failure it was; `None` if a person ended the run.
    pub step: Option<StepId>,
    /// Why, for people.
    pub why: String,
}

/// The phase of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Phase {
    /// No event yet.
    #[default]
    NotStarted,
    /// Steps start as their needs are met.
    Running,
    /// Nothing new starts; running steps end.
    Stopping {
        /// Whether what was done is undone afterwards.
        undo: bool,
        /// Who ended it early; `None`: a failure did. Without `undo` everything is cut off.
        aborted_by: Option<Person>,
    },
    /// What was done is being undone.
    Undoing {
        /// Who ended it early; `None` where a failure did.
        aborted_by: Option<Person>,
    },
    /// The recovery has ended; the handlers run.
    Handling {
        /// How the recovery ended.
        ending: Outcome,
        /// Who cut the handlers off.
        aborted_by: Option<Person>,
    },
    /// The run is over.
    Finished {
        /// The time at which it ended.
        at: Timestamp,
        /// How it ended.
        outcome: Outcome,
    },
}

/// The engine ended during attempts of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineEnded {
    /// Number of times.
    pub times: u32,
    /// When that was first known.
    pub since: Timestamp,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRun {
    /// Its name.
    pub id: StepId,
    /// Its state.
    pub state: StepState,
    /// Attempts started so far, verifications of a manual step included.
    pub attempts: u32,
    /// Failed attempts since the step began, or since its manual work was last reported: what `retry` counts.
    pub failures: u32,
    /// Attempts whose effect was unknown.
    pub interruptions: u32,
    /// The interruptions because the engine ended, since somebody last requested the step.
    pub engine_ended: Option<EngineEnded>,
    /// Failed calls of the plugin's `observe` since the last interruption.
    pub observations: u32,
    /// Undo attempts started so far.
    pub undo_attempts: u32,
    /// Undo attempts that failed; those that the engine cut off do not count.
    pub undo_failures: u32,
    /// Whether effects may remain: of an attempt that is no longer examined, or of work that was to be repeated.
    pub in_doubt: bool,
    /// What its failure means for the run.
    pub on_failure: OnFailure,
    /// Which part of the runbook it belongs to.
    pub section: Section,
    /// Start of the first attempt.
    pub started: Option<Timestamp>,
    /// The time from which the limit of the whole step counts: its first start, or when somebody requested it again.
    pub counted_from: Option<Timestamp>,
    /// When it reached its present state.
    pub changed: Option<Timestamp>,
}

impl StepRun {
    fn waiting(id: StepId, on_failure: OnFailure, section: Section) -> Self {
        Self {
            id,
            state: StepState::Waiting,
            attempts: 0,
            failures: 0,
            interruptions: 0,
            engine_ended: None,
            observations: 0,
            undo_attempts: 0,
            undo_failures: 0,
            in_doubt: false,
            on_failure,
            section,
            started: None,
            counted_from: None,
            changed: None,
        }
    }

    /// Whether it had an effect, or may have had one.
    fn may_be_taken_back(&self) -> bool {
        match self.state {
            StepState::Succeeded { .. } | StepState::ResolvedByHand { .. } | StepState::Failed { .. } => true,
            StepState::Cancelled | StepState::Skipped { .. } => self.in_doubt,
            _ => false,
        }
    }

    /// The time at which its state changes without any input.
    fn wakes_at(&self) -> Option<Timestamp> {
        match &self.state {
            StepState::Running(attempt) | StepState::Verifying { attempt, .. } | StepState::Undoing { attempt, .. } => {
                attempt.deadline
            }
            StepState::Observing(_) => self.changed.map(observation_deadline),
            StepState::BackingOff { until, .. } => Some(*until),
            StepState::Awaiting(Awaiting::Approval { expires, .. }) => *expires,
            _ => None,
        }
    }
}

/// The state of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum StepState {
    /// It waits for its needs.
    Waiting,
    /// An attempt is in flight.
    Running(Attempt),
    /// The engine ended during the attempt, whose effect is not known yet.
    Interrupted(Attempt),
    /// The plugin is checking whether the attempt took effect.
    Observing(Attempt),
    /// The next attempt comes later.
    BackingOff {
        /// The next attempt starts at this time.
        until: Timestamp,
        /// The failure of the last attempt.
        failure: Failure,
        /// What the next attempt does.
        next: Next,
    },
    /// A result is recorded, but not what follows from it: the engine ended between two events of one decision.
    Settling(Settling),
    /// Its list has begun. The items are steps of the run.
    FannedOut {
        /// Slot of the first item.
        first: Slot,
        /// Number of items.
        count: usize,
    },
    /// A person must answer.
    Awaiting(Awaiting),
    /// A person did it; the `verify` action runs.
    Verifying {
        /// The attempt of the verification.
        attempt: Attempt,
        /// Who did it.
        who: Person,
        /// The evidence: an object of names and values.
        evidence: Value,
    },
    /// Done.
    Succeeded {
        /// `steps.<id>.outputs`.
        outputs: Value,
        /// One line for people.
        summary: String,
        /// How it is known.
        known_by: KnownBy,
    },
    /// Done by a person.
    ResolvedByHand {
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The evidence: an object of names and values; also `steps.<id>.outputs`.
        evidence: Value,
    },
    /// Not done.
    Skipped {
        /// The reason for skipping it.
        reason: SkipReason,
    },
    /// Failed.
    Failed {
        /// What went wrong, with its code.
        failure: Failure,
    },
    /// Not started, or stopped, because the run ended early.
    Cancelled,
    /// It is being undone.
    Undoing {
        /// The attempt.
        attempt: Attempt,
        /// Its outputs, which the undo may need.
        outputs: Value,
    },
    /// Undone.
    Undone,
    /// It could not be undone.
    UndoFailed {
        /// What went wrong, with its code.
        failure: Failure,
        /// Its outputs, which another attempt may need.
        outputs: Value,
        /// Whether somebody has since requested another undo.
        wanted: bool,
    },
}

impl StepState {
    /// Whether the step is over (it may still be undone).
    pub fn is_over(&self) -> bool {
        matches!(
            self,
            Self::Succeeded { .. }
                | Self::ResolvedByHand { .. }
                | Self::Skipped { .. }
                | Self::Failed { .. }
                | Self::Cancelled
                | Self::Undone
                | Self::UndoFailed { .. }
        )
    }

    /// Whether it is over in a way that makes the run end at best with exceptions.
    fn is_exception(&self) -> bool {
        if matches!(self, Self::Succeeded { known_by: KnownBy::NoItems, .. }) {
            return true;
        }
        self.is_over()
            && !matches!(
                self,
                Self::Succeeded { .. }
                    | Self::Skipped {
                        reason: SkipReason::NothingFailed | SkipReason::DoneBefore | SkipReason::NotAsked
                    }
            )
    }

    /// Whether it was undone, is being undone, or could not be undone.
    fn is_taken_back(&self) -> bool {
        matches!(
            self,
            Self::Undoing { .. }
                | Self::Undone
                | Self::UndoFailed { .. }
                | Self::BackingOff { next: Next::Undo { .. }, .. }
                | Self::Settling(Settling::AttemptFailed { next: Next::Undo { .. }, .. })
        )
    }

    /// Whether a plugin is at work.
    fn is_call(&self) -> bool {
        matches!(self, Self::Running(_) | Self::Observing(_) | Self::Verifying { .. } | Self::Undoing { .. })
    }
}

/// What the attempt after a wait does.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// The step's own action.
    Run,
    /// Asking the plugin what became of an interrupted attempt.
    Observe(Attempt),
    /// Checking what a person did.
    Verify {
        /// Who did it.
        who: Person,
        /// The evidence: an object of names and values.
        evidence: Value,
    },
    /// Undoing the step.
    Undo {
        /// Its outputs, which the undo may need.
        outputs: Value,
    },
}

/// A recorded result from which one more event follows.
#[derive(Debug, Clone, PartialEq)]
pub enum Settling {
    /// A call failed: it is retried, or not.
    AttemptFailed {
        /// The failed attempt.
        attempt: Attempt,
        /// What went wrong, with its code.
        failure: Failure,
        /// What another attempt would do.
        next: Next,
    },
    /// A person said yes or no.
    Approval {
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// Whether the answer was a yes.
        approved: bool,
        /// The comment of the person.
        comment: Option<String>,
    },
    /// A person did a manual step.
    Hands {
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The evidence: an object of names and values.
        evidence: Value,
    },
    /// An operator said what became of an interrupted attempt.
    Decision {
        /// That attempt.
        attempt: Attempt,
        /// The person who did it, or the policy of a drill.
        who: Person,
        /// The decision.
        answer: OperatorAnswer,
    },
}

/// An attempt in flight.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Its number, counted from 1.
    pub number: u32,
    /// Rendered parameters.
    pub parameters: Value,
    /// When it started.
    pub started: Timestamp,
    /// The time at which it is cut off; `None`: no limit.
    pub deadline: Option<Timestamp>,
}

/// What a step waits for from a person.
#[derive(Debug, Clone, PartialEq)]
pub enum Awaiting {
    /// A yes or no.
    Approval {
        /// Roles of the people who may answer.
        by: Vec<String>,
        /// The question.
        message: String,
        /// Whether two different people must approve.
        four_eyes: bool,
        /// The time from which an answer no longer counts.
        expires: Option<Timestamp>,
        /// The person who has already approved, if a second person must approve too.
        approved_by: Option<Person>,
    },
    /// Manual work.
    Hands {
        /// The instruction for the person.
        instruction: String,
        /// The evidence that is asked for: names, each with its type as text.
        evidence: BTreeMap<String, String>,
    },
    /// A decision about an interrupted attempt.
    Decision {
        /// The interrupted attempt.
        attempt: Attempt,
        /// Why the engine cannot decide by itself.
        reason: Reason,
    },
}
