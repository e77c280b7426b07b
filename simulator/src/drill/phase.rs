//! The phase of a drill, for those who watch it: a terminal, a page, a metric.

use std::{fmt, path::PathBuf, time::Duration};

use serde::Serialize;

use crate::testbed::Backend;

/// What the drill does from now on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// The machine was examined.
    Machine {
        /// Its capacity for probes.
        readiness: String,
    },
    /// The runbooks are compiled.
    Compiling,
    /// The systems are built.
    Building {
        /// Where.
        backend: Backend,
    },
    /// The application's records are loaded.
    Loading {
        /// How many.
        records: i64,
    },
    /// A base backup is taken.
    BackingUp,
    /// Writers and probes run undisturbed.
    Steady {
        /// At least this long.
        length: Duration,
    },
    /// They continue, because they were disturbed or too few.
    Unsteady {
        /// What is missing.
        missing: Vec<String>,
    },
    /// A standby is watched.
    Lagging {
        /// Which one.
        standby: String,
        /// At most this long.
        at_most: Duration,
    },
    /// No fault strikes: the drill only watches.
    Quiet,
    /// A fault strikes.
    Striking {
        /// What it does.
        doing: String,
    },
    /// The fault has struck, and the application continues.
    Struck {
        /// What it did.
        story: String,
    },
    /// A fault ends, as far as it can end by itself.
    Healing {
        /// Its kind.
        fault: String,
    },
    /// A fault could not be healed at the end of a drill that has failed already.
    Unhealed {
        /// Why.
        why: String,
    },
    /// Monitoring has not noticed yet.
    Noticing,
    /// It never did.
    Unnoticed {
        /// Within this time.
        within: Duration,
    },
    /// The engine recovers.
    Recovering {
        /// The probe by which it was noticed.
        probe: &'static str,
    },
    /// The engine executes a runbook that recovers nothing.
    Running {
        /// Its id.
        runbook: String,
    },
    /// The recovery has ended, and the service must be healthy for a while.
    Settling,
    /// The writers stop, and every record is read back.
    Reading,
    /// The numbers are worked out.
    Measuring,
    /// The systems are removed.
    TearingDown,
    /// The systems stay, as requested.
    Leaving {
        /// Where.
        folder: PathBuf,
    },
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine { readiness } => f.write_str(readiness),
            Self::Compiling => f.write_str("compiling the runbooks"),
            Self::Building { backend } => write!(f, "building the systems ({})", backend.as_str()),
            Self::Loading { records } => write!(f, "loading {records} rows"),
            Self::BackingUp => f.write_str("taking a base backup"),
            Self::Steady { length } => write!(f, "writers and probes run for {length:?}"),
            Self::Unsteady { missing } => {
                write!(f, "the drill continues without a fault because it is not steady yet: {}", missing.join("; "))
            }
            Self::Lagging { standby, at_most } => {
                write!(f, "watching the standby `{standby}`, for at most {at_most:?}")
            }
            Self::Quiet => f.write_str("watching, without a fault"),
            Self::Striking { doing } => f.write_str(doing),
            Self::Struck { story } => write!(f, "{story}; the application continues"),
            Self::Healing { fault } => write!(f, "ending the fault `{fault}`"),
            Self::Unhealed { why } => write!(f, "a fault could not be ended: {why}"),
            Self::Noticing => f.write_str("waiting for monitoring to notice"),
            Self::Unnoticed { within } => write!(f, "monitoring noticed nothing within {within:?}; no recovery starts"),
            Self::Recovering { probe } => write!(f, "noticed by the probe `{probe}`; the engine takes over"),
            Self::Running { runbook } => write!(f, "the engine executes {runbook}"),
            Self::Settling => f.write_str("waiting for a stable window"),
            Self::Reading => f.write_str("stopping the writers and reading every row back"),
            Self::Measuring => f.write_str("measuring"),
            Self::TearingDown => f.write_str("tearing the systems down"),
            Self::Leaving { folder } => {
                let folder = folder.display();
                write!(f, "leaving the systems running in {folder}; `lifeboat drill --remove {folder}` removes them")
            }
        }
    }
}
