//! Leases: two runs cannot write to the same target.
//!
//! Each taking of a lease has a token that is higher than all before. A run keeps its leases when its engine ends, until it was
//! resumed to its end; its engine is alive as long as it has the run's lock. Where a run will never be resumed, a person takes
//! its leases over: that is a token too, so that whatever is still at work for the run is refused before it changes anything.
//! Whether a run lives or is over is not known here: `home` tells.

mod fence;
mod history;
mod rules;
mod take_over;
mod term;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use history::History;
pub use history::{Record, Records};
use lifeboat_core::name::RunId;
use serde::{Deserialize, Serialize};

pub(crate) use fence::Held;
pub use take_over::{Claim, LeaseState, ListedLease};
pub(crate) use take_over::{lost, present, take_over};
pub use term::{Moment, Term, TermFence};

pub use crate::loss::{Loss, TakeOver};
use crate::{Error, holder::Holder};

/// A number that only grows: of two holders of a lease, the one with the higher token has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub u64);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What has become of a run that is named in a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// An engine works on it.
    Live(Holder),
    /// It is not over, and what it left half done is known only to it.
    Unfinished,
    /// It needs its targets no more.
    Over,
}

/// The right of a run to write to a target.
#[derive(Debug)]
pub(crate) struct Lease {
    path: PathBuf,
    run: RunId,
    record: Record,
    written: history::Written,
}

impl Lease {
    /// Takes the lease of a resource for a run; see [`Records::taking`].
    pub(crate) fn take(
        folder: &Path,
        resource: &str,
        run: &RunId,
        fate: impl FnOnce(&RunId) -> Fate,
    ) -> Result<Self, Error> {
        let path = history::path(folder, resource);
        let mut history = History::open(&path).map_err(Error::disk(&path))?;
        let record = history.records.taking(resource, run, fate)?;
        let written = history.append(&record).map_err(Error::disk(&path))?;
        Ok(Self { path, run: run.clone(), record, written })
    }

    /// Gives the target free for every run: this one is over. What was taken over meanwhile is left alone.
    pub(crate) fn release(&self) {
        let release = || {
            let mut history = History::open(&self.path)?;
            if let Some(record) = history.records.releasing(&self.record) {
                history.append(&record)?;
            }
            std::io::Result::Ok(())
        };
        // A lease that cannot be given back keeps nobody out: it is that of a run that is over.
        let _ = release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCE: &str = "postgres:7423000000000000001";

    fn run(name: &str) -> RunId {
        RunId::new(name).unwrap()
    }

    fn code(result: Result<Lease, Error>) -> &'static str {
        result.err().map_or("taken", |error| error.code())
    }

    fn live(run: &RunId) -> Fate {
        Fate::Live(Holder::this_process(run))
    }

    #[test]
    fn a_target_has_one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (run("dr-003-a"), run("dr-003-b"));
        let first = Lease::take(folder.path(), RESOURCE, &a, live).unwrap();
        let refusal = Lease::take(folder.path(), RESOURCE, &b, live).unwrap_err();
        assert_eq!(refusal.code(), "run-lease-held");
        assert!(refusal.to_string().contains("`dr-003-a`"), "{refusal}");
        assert_eq!(code(Lease::take(folder.path(), "postgres:2", &b, live)), "taken");
        first.release();
        assert_eq!(code(Lease::take(folder.path(), RESOURCE, &b, live)), "taken");
    }

    #[test]
    fn a_crashed_run_keeps_its_target_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (run("dr-003-a"), run("dr-003-b"));
        drop(Lease::take(folder.path(), RESOURCE, &a, |_| Fate::Over).unwrap());
        let refusal = Lease::take(folder.path(), RESOURCE, &b, |_| Fate::Unfinished).unwrap_err();
        assert_eq!(refusal.code(), "run-lease-unfinished");
        assert!(refusal.to_string().contains("lifeboat resume dr-003-a"), "{refusal}");
        assert_eq!(
            code(Lease::take(folder.path(), RESOURCE, &a, |_| Fate::Unfinished)),
            "taken",
            "its own run goes on"
        );
        assert_eq!(code(Lease::take(folder.path(), RESOURCE, &b, |_| Fate::Over)), "taken", "it has ended since");
    }

    #[test]
    fn every_taking_has_a_higher_token() {
        let folder = tempfile::tempdir().unwrap();
        let mut last = Token(0);
        for turn in 0..6 {
            let name = format!("dr-003-{}", turn % 3);
            let lease = Lease::take(folder.path(), RESOURCE, &run(&name), |_| Fate::Over).unwrap();
            assert!(lease.record.token > last, "{} after {last}", lease.record.token);
            last = lease.record.token;
            if turn % 2 == 0 {
                lease.release();
            }
        }
    }

    #[test]
    fn what_is_released_late_stays_with_its_new_holder() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (run("dr-003-a"), run("dr-003-b"));
        let late = Lease::take(folder.path(), RESOURCE, &a, live).unwrap();
        let _new = Lease::take(folder.path(), RESOURCE, &b, |_| Fate::Over).unwrap();
        late.release();
        assert_eq!(code(Lease::take(folder.path(), RESOURCE, &a, live)), "run-lease-held");
    }
}
