//! Why a drill could not be held. A drill that was held with a bad result is a report, not an error.

use std::path::PathBuf;

use lifeboat_core::{
    diagnostic::{Diagnostic, SourceFile},
    name::StepId,
};
use lifeboat_launch::Wrong;

use crate::{
    fault::FaultError,
    ledger::LedgerError,
    store::{ConnectError, StoreError},
    testbed::TestbedError,
    workload::WorkloadError,
};

/// A drill that could not be held.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// There is no such drill.
    #[error("there is no drill `{name}`; built in: {known}")]
    UnknownDrill {
        /// The requested name.
        name: String,
        /// The drills that exist.
        known: String,
    },
    /// A file could not be read or written.
    #[error("{path} cannot be {what}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The drill file, the runbook or the bindings are wrong.
    #[error("{}", lifeboat_launch::summary(file, diagnostics))]
    Diagnostics {
        /// Which file.
        file: SourceFile,
        /// All problems.
        diagnostics: Vec<Diagnostic>,
        /// The runbooks of this drill file that are wrong themselves.
        runbooks: Vec<Wrong>,
    },
    /// A runbook of the drill holds a drill itself.
    #[error("the step `{step}` of {runbook} holds a drill: a drill cannot hold another one")]
    Nested {
        /// The runbook's id.
        runbook: String,
        /// The first step that holds one.
        step: StepId,
    },
    /// The systems could not be built or taken down.
    #[error(transparent)]
    Testbed(#[from] TestbedError),
    /// The plugins could not be loaded or bound.
    #[error(transparent)]
    Host(#[from] lifeboat_host::HostError),
    /// The engine could not begin or continue.
    #[error(transparent)]
    Engine(#[from] lifeboat_runtime::error::Error),
    /// The application could not be set up, or the records could not be read.
    #[error("{what} failed: {source}")]
    Database {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: StoreError,
    },
    /// The application's path could not be reached.
    #[error("the application cannot connect: {0}")]
    Connect(#[from] ConnectError),
    /// The system that should store the application's records cannot store any.
    #[error("the system `{name}` keeps no records")]
    NoStore {
        /// Its name.
        name: String,
    },
    /// A fault could not be injected.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// The writers could not continue.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// The ledger could not be written or read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The drill was stopped.
    #[error("the drill was stopped before it had measured anything")]
    Stopped,
    /// A bug.
    #[error("the drill panicked: {0}")]
    Panicked(String),
}

impl From<Wrong> for DrillError {
    fn from(Wrong { file, diagnostics }: Wrong) -> Self {
        Self::of(file, diagnostics)
    }
}

impl DrillError {
    /// That a file is wrong.
    pub(super) fn of(file: SourceFile, diagnostics: Vec<Diagnostic>) -> Self {
        Self::Diagnostics { file, diagnostics, runbooks: Vec::new() }
    }

    /// A stable code; `lifeboat explain CODE` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownDrill { .. } => "drill-unknown",
            Self::File { .. } => "drill-file",
            Self::Diagnostics { .. } => "drill-runbook",
            Self::Nested { .. } => "drill-nested",
            Self::Testbed(error) => error.code(),
            Self::Host(error) => error.code(),
            Self::Engine(error) => error.code(),
            Self::NoStore { .. } => "drill-testbed-system",
            Self::Fault(FaultError::Testbed(error)) => error.code(),
            Self::Fault(FaultError::NoEffect { .. } | FaultError::NoServer) => "drill-fault",
            // The grammar has already refused it.
            Self::Fault(FaultError::Unknown(_) | FaultError::Parameters(_)) => "drill-runbook",
            Self::Database { .. } | Self::Connect(_) | Self::Fault(_) => "drill-database",
            Self::Workload(_) => "drill-workload",
            Self::Ledger(_) => "drill-ledger",
            Self::Stopped => "drill-stopped",
            Self::Panicked(_) => "drill-panicked",
        }
    }

    /// An error while reading or writing that path.
    pub(crate) fn file(path: &std::path::Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, what, source }
    }

    /// An error of the store while trying that.
    pub(crate) fn database<E: Into<StoreError>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Database { what, source: source.into() }
    }
}
