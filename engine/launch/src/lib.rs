//! From files to a run: what the binary, the simulator, and any other front end do before a session begins, written once.
//!
//! Files are read and [`source`] checks them; a [`Runbook`], bindings that fit it and inputs are [`Ready`], and that is a
//! [`lifeboat_runtime::session::NewRun`] and the plugins that run its calls. [`resume`] does the same for a run that is on disk.
//! What is wrong comes back as diagnostics with their files. Nothing here prints, asks, or knows a terminal.

mod error;
pub mod plugins;
mod prepared;
mod ready;
pub mod removal;
pub mod resume;
pub mod source;
pub mod times;

pub use error::{SourceError, Wrong, summary};
pub use prepared::Prepared;
pub use ready::{Bound, Order, Ready, Runbook, Sources};
