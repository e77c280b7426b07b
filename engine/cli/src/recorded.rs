//! A run as it stands on disk, in the form in which it is shown.

use jiff::Timestamp;
use lifeboat_present::run::{self, RunDocument};
use lifeboat_runtime::home::Loaded;

/// The JSON about it; `None` for a run without events. `live` says whether an engine works on it.
pub(crate) fn document(loaded: &Loaded, live: bool, now: Timestamp) -> Option<RunDocument<'_>> {
    let events = loaded.events.iter().map(|record| (record.at, &record.event));
    run::document(&loaded.plan, &loaded.run, events, live, now)
}
