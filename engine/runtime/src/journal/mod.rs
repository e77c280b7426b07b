//! The journal: one JSON record a line, each with the hash of the record before it. Its fold is the state of the run.
//!
//! The events of one decision share one write and one sync. A crash may leave some of them and a torn last line, which a
//! reader drops; the core continues from any of its own events. Everything else that is wrong is damage, refused with its line.

mod medium;
mod reader;
mod record;
mod verify;
mod writer;

pub use medium::Medium;
pub use reader::{Contents, End, read};
pub use record::{FORMAT, Recorded};
pub use verify::{Summary, verify};
pub use writer::Journal;

pub use crate::damage::{Damage, Problem};
