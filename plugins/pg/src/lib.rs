//! The PostgreSQL plugin: finds what a transaction removed, restores a copy of a server to a moment, and puts rows back.
//!
//! Each action is a file of its own in `action`; what they compute is in rooms beside it. A room knows those below it and no other:
//! `action` → `clean_room` → `intrusion` → `damage` → `rows` → `copy` → `repair` → `backup` → `pages` → `standby` → `wal` → `server` → `call`.

use lifeboat_plugin::{Action, Call, Failure, Observation, Outcome, Plugin};

mod action;
pub mod backup;
pub mod call;
pub mod clean_room;
pub mod copy;
pub mod damage;
pub mod intrusion;
pub mod pages;
pub mod repair;
pub mod rows;
pub mod server;
pub mod standby;
pub mod wal;

/// The plugin.
pub struct Pg;

impl<C: server::Capabilities> Plugin<C> for Pg {
    const NAME: &'static str = "pg";

    fn actions() -> Vec<Action> {
        action::declare()
    }

    fn run(call: &Call, caps: &C) -> Result<Outcome, Failure> {
        action::run(call, &wal::fetching::Fetching::around(caps))
            .unwrap_or_else(|| Err(call.unknown_action(<Self as Plugin<C>>::NAME)))
    }

    fn observe(call: &Call, caps: &C) -> Result<Observation, Failure> {
        action::observe(call, caps)
    }
}

lifeboat_plugin::export!(Pg);
