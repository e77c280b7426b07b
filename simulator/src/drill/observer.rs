//! Who watches a drill.

use lifeboat_core::run::Run;
use lifeboat_runtime::report::Report;

/// Watches a drill, for a live view. Must not block for long.
pub trait DrillObserver: Send + Sync {
    /// The drill enters a phase; one line for people.
    fn phase(&self, phase: &str);
    /// The engine reports, with the state of its run afterwards.
    fn engine(&self, report: &Report, run: &Run);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl DrillObserver for Unwatched {
    fn phase(&self, _phase: &str) {}

    fn engine(&self, _report: &Report, _run: &Run) {}
}
