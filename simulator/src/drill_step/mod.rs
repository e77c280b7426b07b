//! The `drill` steps of runbooks: which drills they name, the problems of these before anything runs, and the decorator of
//! [`Invoke`](lifeboat_runtime::invoke::Invoke) that holds them, reviews them and writes the metrics about them. The engine knows
//! actions, `drill/hold` and others, and nothing else.

mod actions;
mod check;
mod for_step;
mod named;
mod notes;
mod outcome;
mod review;
mod scenario;
mod serve;
mod write_metrics;

use lifeboat_host::Host;

pub use self::{
    actions::actions,
    check::check,
    named::{NamedDrill, drills},
    serve::serve,
};

/// The host, in front of which [`serve`] serves the actions about drills.
pub fn behind(host: Host) -> Host {
    host.behind(actions())
}
