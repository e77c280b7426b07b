//! The `drill` steps of runbooks: which drills they name, the problems of these before anything runs, and the decorator of
//! [`Invoke`](lifeboat_runtime::invoke::Invoke) that holds them. The engine knows an action, `drill/hold`, and nothing else.

mod check;
mod named;
mod notes;
mod outcome;
mod scenario;
mod serve;

use lifeboat_host::Host;

pub use self::{
    check::check,
    named::{NamedDrill, drills},
    serve::serve,
};
use crate::drill::hold_action;

/// The host, in front of which [`serve`] serves the action `drill/hold`.
pub fn behind(host: Host) -> Host {
    host.behind([hold_action()])
}
