//! The shell around the pure core: the driver loop, the journal on disk, timers, leases, and resuming.

pub mod invoke;
pub mod journal;
pub mod people;
pub mod report;
pub mod session;
