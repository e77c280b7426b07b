//! Starting and resuming a run: what the command line and the simulator call.

use std::sync::Arc;

use jiff::Timestamp;
use lifeboat_core::{
    event::{Mode, Outcome, Person},
    name::{RoleName, RunId, StepId},
    plan::Plan,
    run::Run,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{invoke::Invoke, people::People, report::Reporter};

/// What surrounds every run of this process.
#[derive(Clone)]
pub struct Surroundings {
    /// Runs plugin calls.
    pub invoke: Arc<dyn Invoke>,
    /// Answers questions.
    pub people: Arc<dyn People>,
    /// Reads the stream of reports.
    pub reporter: Arc<dyn Reporter>,
    /// Fires when the engine should stop: calls in flight are cancelled, nothing more is journalled, the run can be resumed.
    pub stop: CancellationToken,
}

/// What a run is started with.
pub struct NewRun {
    /// Its name; made by [`crate::home::Home::new_run_id`].
    pub run: RunId,
    /// What to execute.
    pub plan: Plan,
    /// The runbook's bytes, kept beside the journal.
    pub runbook_source: Vec<u8>,
    /// The bindings file's bytes, kept beside the journal (references to secrets only).
    pub bindings_source: Vec<u8>,
    /// Every input with its value.
    pub inputs: Value,
    /// What expressions may know of the targets.
    pub targets: std::collections::BTreeMap<RoleName, Value>,
    /// The exclusive resources it writes to (`postgres:SYSTEM_IDENTIFIER`, `machine:…`): one lease each.
    pub leases: Vec<String>,
    /// Whether anything may be changed.
    pub mode: Mode,
    /// Who starts it.
    pub who: Person,
}

/// How a session with a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The run.
    pub run: RunId,
    /// Why the session is over.
    pub how: How,
    /// The state it left.
    pub state: Run,
    /// When it was left.
    pub at: Timestamp,
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq)]
pub enum How {
    /// The run is over.
    Finished(Outcome),
    /// These steps wait for a person and nobody can be asked here.
    Waiting(Vec<StepId>),
    /// The engine was told to stop.
    Stopped,
}
