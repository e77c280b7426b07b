//! What people see while a run goes on: a live view on a terminal, plain lines elsewhere. Both only read the stream.

mod budget;
mod lines;
mod live;
mod narration;

use std::{io::IsTerminal, sync::Arc};

use lifeboat_core::{
    plan::Objectives,
    run::{Run, StepState},
};
use lifeboat_runtime::{journal::Recorded, report::Reporter};

pub(crate) use budget::budget_text;
use lines::Lines;
use live::Live;
pub(crate) use narration::{failure_text, outcome_text, people, skipped_text};

/// A reader of the stream that can also stand aside while a person is asked.
pub(crate) trait View: Reporter {
    /// Keeps off the terminal until [`View::go_on`]; what happens meanwhile is shown afterwards.
    fn stand_aside(&self) {}
    /// Shows what was held back and goes on.
    fn go_on(&self) {}
    /// The terminal has just echoed `^C` behind what moves, and so has moved it.
    fn after_echo(&self) {}
    /// A line that belongs to no step.
    fn say(&self, text: &str);
    /// Leaves the terminal as it should be found.
    fn close(&self) {}
}

/// The view for where standard error goes. A drill has no budget to count down: it measures. `prompts` says that each
/// question is shown whole by a prompt.
pub(crate) fn open(objectives: Option<Objectives>, prompts: bool) -> Arc<dyn View> {
    if std::io::stderr().is_terminal() { Arc::new(Live::new(objectives, prompts)) } else { Arc::new(Lines::new()) }
}

/// An event as a line, with its time.
pub(crate) fn tell(recorded: &Recorded, run: &Run) -> String {
    lines::event(recorded, run)
}

/// Whether something is done for a step at this moment, or is waited for.
fn is_active(state: &StepState) -> bool {
    !state.is_over() && !matches!(state, StepState::Waiting)
}
