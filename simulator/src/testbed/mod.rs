//! Testbeds: the real systems of a drill, built before it and torn down after it, whatever happens.
//!
//! A testbed consists of systems (`system/`, one file per kind) that a drill file names, in regions or in none, and the paths
//! between them, each with a fault proxy. [`Backend::Process`] runs PostgreSQL's own binaries on this machine, with a range of
//! loopback addresses per region; [`Backend::Container`] runs containers, with a network per region. No caller needs to know which.

mod backup;
mod binaries;
mod container;
mod credentials;
mod disk_damage;
mod docker;
mod error;
mod ground;
mod layout;
mod lifecycle;
mod network;
mod one_server;
mod options;
mod owner;
mod place;
mod ports;
mod roles;
mod secrets;
mod server;
mod servers;
mod shelf;
mod site;
mod spec;
mod system;

pub use backup::BackupInfo;
pub use disk_damage::PageDamage;
pub use error::{TestbedError, Unavailable};
pub use ground::remove;
pub use lifeboat_present::drill::{Fidelity, SystemInfo};
pub use lifecycle::Testbed;
pub use network::{Hindrance, Imposed, Network, OUTSIDE, Side};
pub use one_server::OneServer;
pub use options::{Backend, TestbedOptions, at_hand, available};
pub use server::Server;
pub use shelf::{Aside, Shelf};
pub use spec::{ArchiveSpec, SystemSpec};
pub(crate) use system::PARAMETERS;
pub use system::{Door, Notification, SYSTEMS, Signature, System, SystemKind, SystemPart, WorkEntry, kind, named};
