//! Where runs are kept, whatever keeps them.
//!
//! [`Store`] is what a session asks for: a run is made, owned, written to, read, listed and told something. The form that ships is
//! [`crate::home::Home`], a folder. Another form implements the same traits and calls [`conformance::conforms`] in a test; the core,
//! the driver and `session` stay as they are.

pub mod conformance;
mod contract;
mod listed;
mod loaded;
mod new_run;

pub use contract::{Deliver, Desk, Leases, Log, Owned, Store, Taken};
pub use listed::{Listed, Standing};
pub use loaded::Loaded;
pub use new_run::NewRun;

pub use crate::control::{Answer, Arrived, Asked, Sent};
