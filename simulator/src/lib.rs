//! The drill simulator: real servers, a disaster, the real engine, and the cost of the recovery.

pub mod clock;
pub mod controls;
pub mod drill;
pub mod drill_step;
pub mod fault;
pub mod host;
pub mod ledger;
pub mod measurement;
pub mod model;
pub mod probes;
pub mod proxy;
pub mod rehearsed;
pub mod report;
pub mod store;
pub mod testbed;
pub mod workload;

pub use drill::DrillError;
