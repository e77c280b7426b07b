//! Who watches a drill.

use lifeboat_core::run::Run;
use lifeboat_runtime::report::Report;

use super::phase::Phase;

/// Watches a drill, for a live view. Must not block for long.
pub trait DrillObserver: Send + Sync {
    /// The drill enters a phase; `holding`: the name of the control that is being held, empty for the drill itself.
    fn phase(&self, holding: &str, phase: &Phase);
    /// The engine reports something; with the state of its run after that.
    fn engine(&self, report: &Report, run: &Run);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl DrillObserver for Unwatched {
    fn phase(&self, _holding: &str, _phase: &Phase) {}

    fn engine(&self, _report: &Report, _run: &Run) {}
}
