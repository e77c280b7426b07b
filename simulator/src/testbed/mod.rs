//! Testbeds: the real systems of a drill, built before it and torn down after it, whatever happens between.
//!
//! A testbed is a primary PostgreSQL server that archives its WAL, a fault proxy on the application's path to it, a
//! machine on which copies can be restored, and a webhook that records notifications. [`Backend::Process`] runs
//! PostgreSQL's own binaries on this machine; [`Backend::Container`] runs containers. No caller needs to know which.

mod backup;
mod binaries;
mod bindings;
mod container;
mod docker;
mod error;
mod ground;
mod layout;
mod lifecycle;
mod options;
mod owner;
mod place;
mod ports;
mod primary;
mod roles;
mod secrets;
mod servers;
mod systems;
mod webhook;

pub use backup::BackupInfo;
pub use error::TestbedError;
pub use ground::remove;
pub use lifeboat_present::drill::{Fidelity, SystemInfo};
pub use lifecycle::{Testbed, WorkEntry};
pub use options::{Backend, TestbedOptions, Unavailable, at_hand, available};
pub use webhook::{Notification, Signature};
