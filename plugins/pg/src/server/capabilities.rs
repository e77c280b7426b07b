//! What an action reaches through the host.

use lifeboat_plugin::{Machine, Postgres, Runtime};

/// Everything that an action may use.
pub trait Capabilities: Runtime + Postgres + Machine {}

impl<C: Runtime + Postgres + Machine> Capabilities for C {}
