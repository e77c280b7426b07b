//! The state of a run: always equal to the fold of its journal.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    event::{KnownBy, Outcome, Person, RunStarted, SkipReason},
    failure::{Failure, Reason},
    name::StepId,
};

/// A run. `Run::default()` is the state before the first event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// What it was started with and when; `None` before the first event.
    pub started: Option<(Timestamp, RunStarted)>,
    /// Where it is as a whole.
    pub phase: Phase,
    /// One entry a step of the plan, in plan order; empty before the first event.
    pub steps: Vec<StepRun>,
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
        /// Who ended it early; `None` where a failure did.
        aborted_by: Option<Person>,
    },
    /// What was done is being taken back.
    Undoing {
        /// Who ended it early; `None` where a failure did.
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

/// A step of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRun {
    /// Its name.
    pub id: StepId,
    /// Where it is.
    pub state: StepState,
    /// Attempts started so far.
    pub attempts: u32,
    /// Start of the first attempt.
    pub started: Option<Timestamp>,
    /// When it reached its present state.
    pub changed: Option<Timestamp>,
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
    },
    /// Work outside.
    Hands {
        /// What to do.
        instruction: String,
        /// What to hand in: name and type.
        evidence: std::collections::BTreeMap<String, String>,
    },
    /// A decision about an interrupted attempt.
    Decision {
        /// The interrupted attempt.
        attempt: Attempt,
        /// Why the engine can not tell.
        reason: Reason,
    },
}
