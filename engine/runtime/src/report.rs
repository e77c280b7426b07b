//! One linear stream of what happens, for many dumb readers: the live view, the log files, the drill's time line.

use lifeboat_core::{operator::Refusal, run::Run};

use crate::{invoke::StepNote, journal::Recorded};

/// Something a reader may want to show.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and readers get a reference")]
pub enum Report {
    /// An event is on disk and applied.
    Recorded(Recorded),
    /// A plugin said something.
    Note(StepNote),
    /// A request at the engine's own terminal cannot be carried out, or the engine cannot be reached from another terminal.
    Refused(Refusal),
}

/// Reads the stream. Called in order from the driver; must not block for long.
pub trait Reporter: Send + Sync {
    /// Takes one report and the state of the run after it; of a decision with several events, after all of them.
    fn report(&self, report: &Report, run: &Run);
}

/// A reader that shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _report: &Report, _run: &Run) {}
}
