//! A run that is about to begin: a plan, bindings that fit it, and its inputs.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use lifeboat_core::{
    bindings::Bindings,
    diagnostic::SourceFile,
    event::{Mode, Person},
    fit, inputs,
    name::RunId,
    plan::Plan,
};
use lifeboat_host::{Host, HostError};
use lifeboat_runtime::{invoke::Invoke, session::NewRun};
use serde_json::Value;

use crate::{
    Wrong,
    error::has_errors,
    source::{Checked, Content},
};

/// A runbook without errors.
#[derive(Debug, Clone)]
pub struct Runbook {
    /// What it means.
    pub plan: Plan,
    /// What it was read from.
    pub sources: Sources,
}

/// The files of a plan; a run keeps them beside its journal.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Where the runbook lies; `None` of one that is in no file.
    pub path: Option<PathBuf>,
    /// The runbook.
    pub runbook: SourceFile,
    /// The runbooks that it calls.
    pub called: Vec<SourceFile>,
}

/// Bindings without errors.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Which system plays which role.
    pub bindings: Bindings,
    /// What they were read from.
    pub file: SourceFile,
}

/// What a run begins with, all of it checked.
#[derive(Debug, Clone)]
pub struct Ready {
    /// What to execute.
    pub plan: Plan,
    /// What the plan was read from.
    pub sources: Sources,
    /// On which systems.
    pub bound: Bound,
    /// Every input with its value.
    pub inputs: Value,
}

/// Which run it is to be, and whose.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its name.
    pub run: RunId,
    /// Whether anything may be changed.
    pub mode: Mode,
    /// Who starts it.
    pub who: Person,
    /// When users first noticed, where that is known.
    pub onset: Option<Timestamp>,
}

impl Runbook {
    /// The runbook, where neither it nor one that it calls has errors.
    ///
    /// # Errors
    /// The first file that has some.
    pub fn of(checked: Checked) -> Result<Self, Wrong> {
        let Content::Plan(plan) = checked.content else { return Err(checked.wrong()) };
        let called = checked.called.into_iter().map(|called| called.file).collect();
        Ok(Self { plan: *plan, sources: Sources { path: checked.path, runbook: checked.file, called } })
    }
}

impl Bound {
    /// The bindings, where nothing that was found in them is an error.
    ///
    /// # Errors
    /// The file has some.
    pub fn of(checked: Checked) -> Result<Self, Wrong> {
        match checked.content {
            Content::Bindings(bindings) if !has_errors(&checked.diagnostics) => {
                Ok(Self { bindings: *bindings, file: checked.file })
            }
            _ => Err(checked.wrong()),
        }
    }
}

impl Ready {
    /// A runbook on these systems with these inputs, as they were written.
    ///
    /// # Errors
    /// The inputs are not those that the runbook declares.
    pub fn new(runbook: Runbook, bound: Bound, given: &BTreeMap<String, String>) -> Result<Self, Wrong> {
        let Runbook { plan, sources } = runbook;
        match inputs::resolve(&plan, given) {
            Ok(inputs) => Ok(Self { plan, sources, bound, inputs }),
            Err(diagnostics) => Err(Wrong { file: sources.runbook, diagnostics }),
        }
    }

    /// The plugins, tied to the systems.
    ///
    /// # Errors
    /// The plan uses an action that no plugin of the host has.
    pub fn invoke(&self, host: &Host) -> Result<Arc<dyn Invoke>, HostError> {
        host.bind(&self.plan, self.bound.bindings.clone())
    }

    /// What the runtime starts.
    pub fn into_run(self, Order { run, mode, who, onset }: Order) -> NewRun {
        let Bound { bindings, file } = self.bound;
        NewRun {
            run,
            runbook_path: self.sources.path,
            runbook_source: self.sources.runbook.text.into_bytes(),
            called_sources: self.sources.called,
            bindings_source: file.text.into_bytes(),
            inputs: self.inputs,
            targets: bindings.facts(),
            leases: fit::leases(&self.plan, &bindings),
            mode,
            who,
            people: bindings.people,
            onset,
            plan: self.plan,
        }
    }
}
