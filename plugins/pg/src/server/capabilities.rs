//! What an action reaches through the host.

use lifeboat_plugin::{Endpoint, Machine, Postgres, Runtime};

/// Everything that an action may use.
pub trait Capabilities: Runtime + Postgres + Machine + Endpoint {}

impl<C: Runtime + Postgres + Machine + Endpoint> Capabilities for C {}
