//! A run that a store is asked to keep.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use lifeboat_core::{
    diagnostic::SourceFile,
    event::{Mode, Person},
    name::{RoleName, RunId},
    plan::Plan,
};
use serde_json::Value;

/// What a run is started with.
pub struct NewRun {
    /// Its name; made by [`crate::home::Home::new_run_id`].
    pub run: RunId,
    /// What to execute.
    pub plan: Plan,
    /// Where the runbook is, so that a resumed run can say that it was changed meanwhile.
    pub runbook_path: Option<PathBuf>,
    /// The runbook's bytes, kept beside the journal.
    pub runbook_source: Vec<u8>,
    /// The runbooks that it calls, kept there too.
    pub called_sources: Vec<SourceFile>,
    /// The bindings file's bytes, kept beside the journal (references to secrets only).
    pub bindings_source: Vec<u8>,
    /// Every input with its value.
    pub inputs: Value,
    /// What expressions may know of the targets.
    pub targets: BTreeMap<RoleName, Value>,
    /// The exclusive resources it writes to (`postgres:SYSTEM_IDENTIFIER`, `machine:…`): one lease each.
    pub leases: Vec<String>,
    /// Whether anything may be changed.
    pub mode: Mode,
    /// Who starts it.
    pub who: Person,
    /// The people of each role, as the bindings name them.
    pub people: BTreeMap<String, Vec<String>>,
    /// When users first noticed, where that is known.
    pub onset: Option<Timestamp>,
}
