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
    /// When users first noticed, as somebody said last.
    pub onset: Option<Timestamp>,
    /// Where it is as a whole.
    pub phase: Phase,
    /// Since when nothing new begins, and who wanted that; `None` where the run is not paused.
    pub pause: Option<Pause>,
    /// Steps that an operator wants left out when their turn comes.
    pub skips: BTreeMap<Slot, SkipReason>,
    /// One entry a step of the plan, in plan order, and behind them one an item of each list that was begun.
    pub steps: Vec<StepRun>,
    /// Why it ended early; `None` while it has not.
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
    /// A run of this plan to which nothing has happened yet.
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
    /// The step whose failure it was; `None` where somebody ended the run.
    pub step: Option<StepId>,
    /// Why, for people.
    pub why: String,
}

/// Where a run is as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Phase {
    /// No event yet.
    #[default]
    NotStarted,
    /// Steps start as their needs are met.
    Running,
    /// Nothing new starts; what runs is waited for.
    Stopping {
        /// Whether what was done will be taken back afterwards.
        undo: bool,
        /// Who ended it early; `None` where a failure did. Without `undo` nothing is waited for.
        aborted_by: Option<Person>,
    },
    /// What was done is being taken back.
    Undoing {
        /// Who ended it early; `None` where a failure did.
        aborted_by: Option<Person>,
    },
    /// The recovery has ended, and the handlers tell people or tidy up.
    Handling {
        /// How the recovery ended.
        ending: Outcome,
        /// Who cut the handlers off.
        aborted_by: Option<Person>,
    },
    /// Over.
    Finished {
        /// When.
        at: Timestamp,
        /// How.
        outcome: Outcome,
    },
}

/// The engine ended during attempts of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineEnded {
    /// How often.
    pub times: u32,
    /// When that was first known.
    pub since: Timestamp,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRun {
    /// Its name.
    pub id: StepId,
    /// Where it is.
    pub state: StepState,
    /// Attempts started so far, verifications of a manual step included.
    pub attempts: u32,
    /// Attempts that failed since the step began (or since its work was last handed in): what `retry` counts.
    pub failures: u32,
    /// Attempts of which nobody knew how far they came.
    pub interruptions: u32,
    /// Those of them during which the engine ended, since somebody last asked for the step.
    pub engine_ended: Option<EngineEnded>,
    /// Failed calls of the plugin's `observe` since the last interruption.
    pub observations: u32,
    /// Attempts started so far to take it back.
    pub undo_attempts: u32,
    /// How many of these failed. One that the engine cut off did not.
    pub undo_failures: u32,
    /// Something may be left of an attempt that nobody will look into any more, or of work that was to be done once more.
    pub in_doubt: bool,
    /// What its failure means for the run.
    pub on_failure: OnFailure,
    /// Which part of the runbook it belongs to.
    pub section: Section,
    /// Start of the first attempt.
    pub started: Option<Timestamp>,
    /// From when the time of the whole step counts: its first start, or the moment in which somebody asked for it again.
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

    /// Whether it did something, or may have.
    fn may_be_taken_back(&self) -> bool {
        match self.state {
            StepState::Succeeded { .. } | StepState::ResolvedByHand { .. } | StepState::Failed { .. } => true,
            StepState::Cancelled | StepState::Skipped { .. } => self.in_doubt,
            _ => false,
        }
    }

    /// When time alone changes its state.
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

/// Where a step is.
#[derive(Debug, Clone, PartialEq)]
pub enum StepState {
    /// For its needs.
    Waiting,
    /// An attempt is in flight.
    Running(Attempt),
    /// The engine ended during the attempt; what became of it is not known yet.
    Interrupted(Attempt),
    /// The plugin is being asked what became of it.
    Observing(Attempt),
    /// The next attempt comes later.
    BackingOff {
        /// Not before.
        until: Timestamp,
        /// Why the last one failed.
        failure: Failure,
        /// What is tried again.
        next: Next,
    },
    /// Something is known and what follows from it is not recorded yet: the engine ended between two events of one decision.
    Settling(Settling),
    /// It is done for each item of its list. The items are steps of their own.
    FannedOut {
        /// Where the items begin.
        first: Slot,
        /// How many there are.
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
        /// What was handed in.
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
        /// Who.
        who: Person,
        /// What was handed in; also `steps.<id>.outputs`.
        evidence: Value,
    },
    /// Not done.
    Skipped {
        /// Why.
        reason: SkipReason,
    },
    /// Lost.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Not started, or stopped, because the run ended early.
    Cancelled,
    /// It is being taken back.
    Undoing {
        /// The attempt.
        attempt: Attempt,
        /// Its outputs, which the undo may need.
        outputs: Value,
    },
    /// Taken back.
    Undone,
    /// Could not be taken back.
    UndoFailed {
        /// Why.
        failure: Failure,
        /// Its outputs, which another attempt may need.
        outputs: Value,
        /// Somebody has asked for everything to be taken back once more since.
        wanted: bool,
    },
}

impl StepState {
    /// Whether the step is over as far as going forward is concerned (it may still be taken back).
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

    /// Whether it is over and keeps a run from having simply succeeded.
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

    /// Whether it was taken back, is being, or could not be.
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

/// What is tried again after a wait.
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
        /// What was handed in.
        evidence: Value,
    },
    /// Taking the step back.
    Undo {
        /// Its outputs, which the undo may need.
        outputs: Value,
    },
}

/// Something that is known and from which one more event follows.
#[derive(Debug, Clone, PartialEq)]
pub enum Settling {
    /// A call failed: it is tried again, or not.
    AttemptFailed {
        /// Which attempt.
        attempt: Attempt,
        /// Why.
        failure: Failure,
        /// What would be tried again.
        next: Next,
    },
    /// A person said yes or no.
    Approval {
        /// Who.
        who: Person,
        /// Which.
        approved: bool,
        /// Why.
        comment: Option<String>,
    },
    /// A person did a manual step.
    Hands {
        /// Who.
        who: Person,
        /// What was handed in.
        evidence: Value,
    },
    /// An operator said what became of an interrupted attempt.
    Decision {
        /// That attempt.
        attempt: Attempt,
        /// Who.
        who: Person,
        /// What.
        answer: OperatorAnswer,
    },
}

/// An attempt in flight.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// Rendered parameters.
    pub parameters: Value,
    /// When it started.
    pub started: Timestamp,
    /// When it is over.
    pub deadline: Option<Timestamp>,
}

/// Whom a step waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum Awaiting {
    /// A yes or no.
    Approval {
        /// Roles of the people who may answer.
        by: Vec<String>,
        /// What they are asked.
        message: String,
        /// Two different people must say yes.
        four_eyes: bool,
        /// An answer after this instant is none.
        expires: Option<Timestamp>,
        /// Who said yes already, where a second person must too.
        approved_by: Option<Person>,
    },
    /// Work outside.
    Hands {
        /// What to do.
        instruction: String,
        /// What to hand in: name and type.
        evidence: BTreeMap<String, String>,
    },
    /// A decision about an interrupted attempt.
    Decision {
        /// The interrupted attempt.
        attempt: Attempt,
        /// Why the engine cannot tell.
        reason: Reason,
    },
}
