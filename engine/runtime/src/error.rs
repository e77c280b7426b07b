//! What can go wrong around a run. Each variant has a stable code with a page in `docs/errors`.

use std::{io, path::PathBuf};

use lifeboat_core::name::RunId;

use crate::{damage::Damage, holder::Holder, loss::Loss};

/// A failure of the shell: the run's state could not be stored, found or trusted, or another owner has it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the state could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Disk {
        /// Path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file or folder of the state could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable {
        /// Path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The journal cannot be trusted.
    #[error("cannot use the journal `{}`: {damage}", path.display())]
    Journal {
        /// Path of the journal.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The plan beside the journal is not the one that the run was started with.
    #[error("the plan `{}` has changed since the run started: {problem}", path.display())]
    Plan {
        /// Path of the plan.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No run has that name.
    #[error("there is no run `{name}`")]
    Unknown {
        /// The name that was given.
        name: String,
    },
    /// Several runs begin like that.
    #[error("`{prefix}` is ambiguous; it matches {}", list(candidates))]
    Ambiguous {
        /// The beginning of a name that was given.
        prefix: String,
        /// The runs that begin so.
        candidates: Vec<RunId>,
    },
    /// The run has a folder and nothing was ever journalled.
    #[error("the run `{run}` was never started; its journal is empty")]
    NeverStarted {
        /// The run.
        run: RunId,
    },
    /// The run has a journal already.
    #[error("the run `{run}` was already started; resume it instead")]
    Exists {
        /// The run.
        run: RunId,
    },
    /// Another engine is working on the run.
    #[error("the run `{run}` is in use by {holder}")]
    Locked {
        /// The run.
        run: RunId,
        /// The engine that works on it.
        holder: Box<Holder>,
    },
    /// Another engine has become the owner of the run.
    #[error("this engine no longer owns the run `{run}`{}; it records nothing more", by(owner.as_deref()))]
    OwnerLost {
        /// The run.
        run: RunId,
        /// Who owns it now, where that is known.
        owner: Option<Box<Holder>>,
    },
    /// Another run is writing to the target.
    #[error("`{resource}` is in use by the run `{run}`, {holder}", run = holder.run)]
    LeaseHeld {
        /// The target.
        resource: String,
        /// The engine that works on it.
        holder: Box<Holder>,
    },
    /// The target itself says that another run is writing to it, perhaps one of another state folder.
    #[error("{0}")]
    TargetHeld(String),
    /// Another run was writing to the target and did not end.
    #[error(
        "`{resource}` belongs to the run `{run}`, which is not over ({holder}); end that run first: lifeboat resume \
         {run}",
        run = holder.run
    )]
    LeaseUnfinished {
        /// The target.
        resource: String,
        /// The engine that had it.
        holder: Box<Holder>,
    },
    /// Whether the holder is dead cannot be seen from here.
    #[error(
        "`{resource}` belongs to the run `{run}` on another machine ({holder}); this machine cannot tell whether \
         that process is dead",
        run = holder.run
    )]
    LeaseElsewhere {
        /// The target.
        resource: String,
        /// The engine that has it.
        holder: Box<Holder>,
    },
    /// The lease was taken over from the run.
    #[error("{0}; the run cannot continue")]
    LeaseLost(Box<Loss>),
    /// There is nothing to take over.
    #[error("no run has a lease named `{name}`")]
    LeaseFree {
        /// A resource or a run.
        name: String,
    },
    /// The operating system gave no random bytes for a name.
    #[error("cannot get random bytes from the operating system: {0}")]
    Randomness(getrandom::Error),
}

impl Error {
    /// The stable code; `lifeboat explain CODE` prints its page.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disk { .. } => "run-state-disk",
            Self::Unreadable { .. } => "run-state-unreadable",
            Self::Journal { damage, .. } => damage.code(),
            Self::Plan { .. } => "run-plan-changed",
            Self::Unknown { .. } => "run-unknown",
            Self::Ambiguous { .. } => "run-ambiguous",
            Self::NeverStarted { .. } => "run-never-started",
            Self::Exists { .. } => "run-exists",
            Self::Locked { .. } => "run-locked",
            Self::OwnerLost { .. } => "run-owner-lost",
            Self::LeaseHeld { .. } | Self::TargetHeld(_) => "run-lease-held",
            Self::LeaseUnfinished { .. } => "run-lease-unfinished",
            Self::LeaseElsewhere { .. } => "run-lease-elsewhere",
            Self::LeaseLost(_) => "run-lease-lost",
            Self::LeaseFree { .. } => "run-lease-free",
            Self::Randomness(_) => "run-no-randomness",
        }
    }

    pub(crate) fn disk(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { path, source }
    }

    pub(crate) fn unreadable(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Unreadable { path, source }
    }
}

fn by(owner: Option<&Holder>) -> String {
    owner.map_or_else(String::new, |owner| format!(": it is in use by {owner}"))
}

fn list(runs: &[RunId]) -> String {
    runs.iter().map(|run| format!("`{run}`")).collect::<Vec<_>>().join(", ")
}
