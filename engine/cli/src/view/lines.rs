//! The plain view: one line an event, for pipes, files and continuous integration.

use std::{collections::BTreeMap, sync::Mutex};

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{name::StepId, run::Run};
use lifeboat_runtime::{
    invoke::{Level, Note, StepNote},
    journal::Recorded,
    report::{Report, Reporter},
};

use super::{View, narration};
use crate::{
    elapsed,
    output::{QUIET, STRONG, note, styled},
};

/// A long copy shows at most one line in this time.
const PROGRESS_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// Plain lines on standard error.
pub(super) struct Lines {
    last_progress: Mutex<BTreeMap<StepId, Timestamp>>,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { last_progress: Mutex::new(BTreeMap::new()) }
    }

    /// Whether it is time for another line about that step's progress.
    fn progress_is_due(&self, step: &StepId, now: Timestamp) -> bool {
        let mut last = self.last_progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = last.get(step).is_none_or(|then| now.duration_since(*then) >= PROGRESS_EVERY);
        if due {
            last.insert(step.clone(), now);
        }
        due
    }
}

impl Reporter for Lines {
    fn report(&self, report: &Report, run: &Run) {
        match report {
            Report::Recorded(recorded) => note(event(recorded, run)),
            Report::Note(said) => {
                let now = Timestamp::now();
                if let Some(text) = note_text(said)
                    && (!matches!(said.note, Note::Progress { .. }) || self.progress_is_due(&said.step, now))
                {
                    note(stamped(now, Some(&said.step), &text));
                }
            }
        }
    }
}

impl View for Lines {
    fn say(&self, text: &str) {
        note(stamped(Timestamp::now(), None, text));
    }
}

/// An event as a line.
pub(super) fn event(recorded: &Recorded, run: &Run) -> String {
    let line = narration::narrate(recorded, run);
    stamped(recorded.at, line.step.as_ref(), &line.text)
}

/// `12:03:04 restore started`.
fn stamped(at: Timestamp, step: Option<&StepId>, text: &str) -> String {
    let time = styled(QUIET, elapsed::time_of_day(at));
    match step {
        Some(step) => format!("{time} {} {text}", styled(STRONG, step)),
        None => format!("{time} {text}"),
    }
}

/// What a plugin said, as a line; nothing for what only its author wants to know.
pub(super) fn note_text(said: &StepNote) -> Option<String> {
    match &said.note {
        Note::Progress { done, total, unit, message } => Some(progress_text(*done, *total, unit, message)),
        Note::Log { level: Level::Debug, .. } => None,
        Note::Log { message, fields, .. } => {
            let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            Some(format!("{message}{fields}"))
        }
    }
}

/// `copying 1200/5000 rows (24 %)`.
fn progress_text(done: u64, total: Option<u64>, unit: &str, message: &str) -> String {
    match total.filter(|total| *total > 0) {
        Some(total) => {
            let percent = u128::from(done) * 100 / u128::from(total);
            format!("{message} {done}/{total} {unit} ({percent} %)")
        }
        None => format!("{message} {done} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_much_of_how_much() {
        assert_eq!(progress_text(1_200, Some(5_000), "rows", "copying"), "copying 1200/5000 rows (24 %)");
        assert_eq!(progress_text(7, None, "segments", "reading"), "reading 7 segments");
        assert_eq!(progress_text(u64::MAX, Some(u64::MAX), "bytes", "x"), format!("x {0}/{0} bytes (100 %)", u64::MAX));
    }

    #[test]
    fn progress_lines_are_rare_and_each_step_has_its_own_clock() {
        let lines = Lines::new();
        let step = |name: &str| StepId::new(name).unwrap();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        assert!(lines.progress_is_due(&step("a"), at(0)));
        assert!(!lines.progress_is_due(&step("a"), at(4)));
        assert!(lines.progress_is_due(&step("b"), at(4)));
        assert!(lines.progress_is_due(&step("a"), at(5)));
    }
}
