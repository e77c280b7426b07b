//! What people see while a run is in progress: a live view on a terminal, plain lines elsewhere. Both only read the stream.

mod lines;
mod live;

use std::sync::Arc;

use lifeboat_core::{plan::Objectives, run::Run};
use lifeboat_runtime::{journal::Recorded, report::Reporter};

use lines::Lines;
use live::Live;

use crate::wrap;

/// A reader of the stream that can also stand aside while a person is asked.
pub(crate) trait View: Reporter {
    /// Keeps off the terminal until [`View::go_on`]; what happens meanwhile is shown afterwards.
    fn stand_aside(&self) {}
    /// Shows what was held back and continues.
    fn go_on(&self) {}
    /// The terminal has just echoed `^C` behind what moves, and so has moved it.
    fn after_echo(&self) {}
    /// Whether it changes lines that stand on the terminal already: then nothing else may write there.
    fn moves(&self) -> bool {
        false
    }
    /// A line that belongs to no step.
    fn say(&self, text: &str);
    /// Leaves the terminal as it should be found.
    fn close(&self) {}
}

/// The view for where standard error goes. A drill has no budget to count down: it measures. `prompts` says that each
/// question is shown whole by a prompt.
pub(crate) fn open(objectives: Option<Objectives>, prompts: bool) -> Arc<dyn View> {
    if Facts::of_this_process().can_be_moved_on() {
        Arc::new(Live::new(objectives, prompts))
    } else {
        Arc::new(Lines::new(prompts))
    }
}

/// What is known of where standard error goes.
#[derive(Debug, Clone)]
struct Facts {
    /// How wide the terminal is; `None` where there is none, or none that knows.
    width: Option<usize>,
    /// `TERM`.
    kind: Option<String>,
    /// `NO_COLOR` or `CI` is set: what is shown is read later, or by something else than eyes.
    is_plain: bool,
}

impl Facts {
    fn of_this_process() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self {
            width: wrap::width(std::io::stderr()),
            kind: std::env::var("TERM").ok(),
            is_plain: is_set("NO_COLOR") || is_set("CI"),
        }
    }

    /// Whether lines can be changed after they were written. Everywhere else plain lines say all of it.
    fn can_be_moved_on(&self) -> bool {
        let is_known = self.kind.as_deref().is_some_and(|kind| !matches!(kind, "" | "dumb" | "unknown"));
        self.width.is_some() && is_known && !self.is_plain
    }
}

/// An event as a line, with its time.
pub(crate) fn tell(recorded: &Recorded, run: &Run) -> String {
    lines::event(recorded, run)
}

#[cfg(test)]
mod tests {
    use super::Facts;

    #[test]
    fn only_a_terminal_that_can_move_its_cursor_gets_the_live_view() {
        let usual = || Facts { width: Some(80), kind: Some("xterm-256color".to_owned()), is_plain: false };
        let check = |facts: Facts, expected: bool| assert_eq!(facts.can_be_moved_on(), expected, "{facts:?}");
        let of_kind = |kind: Option<&str>| Facts { kind: kind.map(str::to_owned), ..usual() };
        check(usual(), true);
        check(of_kind(Some("dumb")), false);
        check(of_kind(Some("")), false);
        check(of_kind(None), false);
        check(Facts { width: None, ..usual() }, false);
        check(Facts { is_plain: true, ..usual() }, false);
    }
}
