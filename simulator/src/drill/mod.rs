//! Drills: stand the systems up, replay the disaster under load, let the engine recover, measure, report, tear down.

mod checks;
mod control;
mod engine;
mod error;
mod evidence;
mod grammar;
mod observer;
mod policy;
mod recovery_checks;
mod report;
mod request;
mod run;
mod series;
mod spec;
mod stage;
mod steady;
mod steps;
mod variant;

pub use error::DrillError;
pub use observer::{DrillObserver, Unwatched};
pub use policy::DrillPolicy;
pub use request::DrillRequest;
pub use run::run;
pub use series::save_series;
pub use spec::{Approvals, Archive, DrillSpec, Fact, FactInput, ProbeSpec, Scenario, Windows, WorkloadSpec};
