//! The real world of a run: tokio's tasks and timers, the journal on disk, and the wall clock.

mod calls;
mod clock;
mod inbox;
mod logs;
mod notes;
mod questions;
mod real;
mod surroundings;

pub(crate) use clock::Clock;
pub use clock::shown;
pub(crate) use real::{Materials, RealWorld};
pub use surroundings::Surroundings;
