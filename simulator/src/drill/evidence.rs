//! Everything that one holding of a drill brought to light, before it is measured.

use jiff::Timestamp;

use super::episode::Episode;
use crate::{
    clock::{At, Clock},
    host::{Load, Readiness},
    ledger::{History, Key, WriteOutcome},
    measurement::{FinalState, Probe, StabilityRule},
    testbed::{BackupInfo, Notification, SystemInfo, WorkEntry},
    workload::WriterReport,
};

/// What was read after the disaster, or why it could not be: then it is unmeasured, and never taken for right.
pub(super) type Reading<T> = Result<T, String>;

/// What was seen.
pub(super) struct Evidence {
    pub(super) clock: Clock,
    pub(super) history: History,
    /// The full read on the application's path, after the writers had stopped.
    pub(super) state: Reading<FinalState>,
    /// The same read directly from the server.
    pub(super) direct: Reading<FinalState>,
    pub(super) probes: Vec<Probe>,
    pub(super) rule: StabilityRule,
    /// One a recovery, in order.
    pub(super) episodes: Vec<Episode>,
    pub(super) writers: WriterReport,
    /// Acknowledgements that were handed to the ledger, the marker's among them.
    pub(super) handed_in: u64,
    pub(super) backup: BackupInfo,
    pub(super) backup_ended: At,
    pub(super) marker: Key,
    /// What lay in the work folder before the fault, and what at the end.
    pub(super) work_before: Vec<WorkEntry>,
    pub(super) work_after: Reading<Vec<WorkEntry>>,
    pub(super) systems: Vec<SystemInfo>,
    pub(super) notifications: Vec<Notification>,
    pub(super) bindings_digest: String,
    /// What the machine could do before the drill, and the load at the end.
    pub(super) ready: Readiness,
    pub(super) load_at_end: Load,
}

impl Evidence {
    /// Acknowledgements between two instants.
    pub(super) fn acknowledged_between(&self, from: At, until: At) -> usize {
        self.history.acknowledged().filter(|(at, _)| (from..=until).contains(at)).count()
    }

    /// Writes that have no answer in the ledger.
    pub(super) fn pending(&self) -> usize {
        self.history.count(WriteOutcome::Pending)
    }

    /// Writes that the application made by its habits, beside the writers.
    pub(super) fn by_habit(&self) -> u64 {
        self.episodes.iter().map(|episode| episode.gone_on.writes()).sum()
    }

    /// The wall time of an instant.
    pub(super) fn wall(&self, at: At) -> Timestamp {
        self.clock.wall(at)
    }
}
