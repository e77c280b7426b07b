//! The server that an action reads: one that plays a role, or a copy.

use lifeboat_plugin::{Action, Failure};

use crate::{copy::marker, server::Capabilities};

/// Which server is meant: one that plays a role, or an instance that a run has restored on a machine.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// A role.
    pub server: Option<String>,
    /// The machine of an instance.
    pub machine: Option<String>,
    /// The instance.
    pub instance: Option<String>,
}

impl Which {
    /// The names of its parameters.
    pub const NAMES: [&str; 3] = ["server", "machine", "instance"];

    /// Declares them.
    pub fn declare(action: Action) -> Action {
        action
            .optional("server", "target<postgres:read>", "The server.")
            .optional("machine", "target<machine:read>", "The machine of a copy.")
            .optional("instance", "string", "The copy, as `pg/restore` named it.")
    }

    /// Opens a connection; fails with `pg-which-server` where it is not one of the two.
    pub fn open<C: Capabilities>(&self, caps: &C) -> Result<C::Connection, Failure> {
        match (&self.server, &self.machine, &self.instance) {
            (Some(server), None, None) => Ok(caps.open(server)?),
            (None, Some(machine), Some(instance)) => {
                let marker = marker::read(caps, machine, instance)?;
                Ok(marker.open(caps, machine, &marker::folder(caps, machine, instance)?)?)
            }
            _ => Err(Failure::invalid_input(
                "pg-which-server",
                "give either `server`, or `machine` and `instance`, to name exactly one server",
            )),
        }
    }
}
