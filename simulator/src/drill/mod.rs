//! Drills: stand the systems up, replay the disaster under load, let the engine recover, measure, report, tear down.

mod breakages;
mod checks;
mod control;
mod damage;
mod engine;
mod entries;
mod episode;
mod error;
mod evidence;
mod executed;
mod exercises;
mod failover_checks;
mod grammar;
mod hold;
mod holding;
mod intruder_checks;
mod intruder_search;
mod lag_report;
mod lagging;
mod observer;
mod open_faults;
mod phase;
mod points;
mod policy;
mod recovery_checks;
mod report;
mod request;
mod roles;
mod routine_checks;
mod routine_report;
mod rule;
mod run;
mod runbooks;
mod series;
mod settling;
mod spec;
mod stage;
mod standby_checks;
mod steady;
mod steps;
mod systems;
mod timeline;
mod walk;

pub use error::DrillError;
pub use grammar::schema;
pub(crate) use hold::field;
pub use hold::{HOLD, hold_action};
pub use observer::{DrillObserver, Unwatched};
pub use phase::Phase;
pub use policy::DrillPolicy;
pub use request::DrillRequest;
pub use run::run;
pub use runbooks::check;
pub use series::save_series;
pub use spec::{
    Approvals, DrillSpec, FactInput, FaultSpec, LagSpec, Moment, ProbeSpec, RecoverSpec, RoutineSpec, Windows,
    WorkloadSpec,
};
