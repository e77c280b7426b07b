//! The server that an action talks to, and what it says about itself.

mod capabilities;
pub mod databases;
pub mod identifier;
pub mod index_checks;
mod moment;
pub mod refused_statement;
mod session;

pub use capabilities::Capabilities;
pub use moment::{Moment, moment, moment_before};
pub use session::{Login, is_superuser, login, setting};
