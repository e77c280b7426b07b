//! All evidence of one holding of a drill, before it is measured.

use jiff::Timestamp;

use super::{
    episode::Episode,
    spec::{LagSpec, RoutineSpec},
};
use crate::{
    clock::{At, Clock},
    host::{Load, Readiness},
    ledger::{History, Key, WriteOutcome},
    measurement::{FinalState, Probe, Sighting, StabilityRule},
    testbed::{BackupInfo, Notification, SystemInfo, WorkEntry},
    workload::WriterReport,
};

/// What was read after the disaster, or why the read failed: then the result is unmeasured, and never taken for correct.
pub(super) type Reading<T> = Result<T, String>;

/// What of an intruder is left in the server that serves at the end.
#[derive(Debug, Default)]
pub(super) struct Remains {
    /// The server.
    pub(super) server: String,
    /// How many plants were looked for.
    pub(super) looked_for: usize,
    /// Those that it has.
    pub(super) planted: Vec<&'static str>,
    /// How many stolen passwords were tried.
    pub(super) tried: usize,
    /// The roles that a stolen password opens.
    pub(super) let_in: Vec<String>,
    /// Logins that failed for another reason than a refusal: they prove nothing.
    pub(super) unclear: Vec<String>,
}

/// A period in which a standby was watched.
#[derive(Debug)]
pub(super) struct Lagged {
    pub(super) spec: LagSpec,
    pub(super) from: At,
    pub(super) until: At,
    /// The kinds of fault that had struck and were not healed.
    pub(super) faults: Vec<String>,
}

/// A routine that was executed.
pub(super) struct Ran {
    pub(super) spec: RoutineSpec,
    /// Its place among the routines of the timeline.
    pub(super) place: usize,
    pub(super) from: At,
    pub(super) until: At,
    /// The kinds of fault that had struck and were not healed.
    pub(super) faults: Vec<String>,
    /// What they have damaged: it has to be named.
    pub(super) damaged: Option<String>,
    /// The engine's run, as an episode in which nothing was recovered.
    pub(super) episode: Episode,
}

/// The evidence from one walk through the timeline.
#[derive(Default)]
pub(super) struct Walked {
    /// One a recovery, in order.
    pub(super) episodes: Vec<Episode>,
    /// What happened after the last one.
    pub(super) rest: Episode,
    /// The times in which standbys were watched.
    pub(super) lagged: Vec<Lagged>,
    /// The routines that were executed.
    pub(super) ran: Vec<Ran>,
}

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
    /// What happened after the last recovery; everything, if nothing is recovered.
    pub(super) rest: Episode,
    /// The times in which standbys were watched, in order.
    pub(super) lagged: Vec<Lagged>,
    /// The routines that were executed, in order.
    pub(super) ran: Vec<Ran>,
    /// Every look at a standby.
    pub(super) sightings: Vec<Sighting>,
    /// What each standby has at the end.
    pub(super) replicas: Vec<(String, Reading<FinalState>)>,
    /// What of an intruder the server that serves at the end still has; `None` if there was none.
    pub(super) intruder: Option<Reading<Remains>>,
    pub(super) writers: WriterReport,
    /// Acknowledgements that were handed to the ledger, the marker's among them.
    pub(super) handed_in: u64,
    /// One for each server that has a machine for its copies.
    pub(super) backups: Vec<BackupInfo>,
    pub(super) backup_ended: At,
    pub(super) marker: Key,
    /// The content of the work folder before the fault and at the end.
    pub(super) work_before: Vec<WorkEntry>,
    pub(super) work_after: Reading<Vec<WorkEntry>>,
    /// When writes were acknowledged to clients that are not the application.
    pub(super) inside: Vec<At>,
    /// Each server beside the one that has the application's records at the end, and whether it would take a write too.
    pub(super) others_take_writes: Vec<(String, bool)>,
    /// The base backups that were taken since the drill took its own: machine and name.
    pub(super) new_backups: Reading<Vec<String>>,
    pub(super) systems: Vec<SystemInfo>,
    pub(super) notifications: Vec<Notification>,
    pub(super) bindings_digest: String,
    /// The capacity of the machine before the drill, and the load at the end.
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
        self.all_episodes().map(|episode| episode.gone_on.writes()).sum()
    }

    /// The episodes, and what came after them.
    pub(super) fn all_episodes(&self) -> impl Iterator<Item = &Episode> {
        self.episodes.iter().chain([&self.rest])
    }

    /// Whether a fault struck that may lose acknowledged writes.
    pub(super) fn may_lose_writes(&self) -> bool {
        self.all_episodes().any(|episode| episode.may_lose_writes)
    }

    /// The first episode, which includes the undisturbed time.
    pub(super) fn first(&self) -> &Episode {
        self.episodes.first().unwrap_or(&self.rest)
    }

    /// The wall time of an instant.
    pub(super) fn wall(&self, at: At) -> Timestamp {
        self.clock.wall(at)
    }
}
