//! The plain view: one line an event, for pipes, files and continuous integration.

use std::{collections::BTreeMap, sync::Mutex};

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    name::StepId,
    operator::Refusal,
    run::{Run, StepRun},
};
use lifeboat_present::{
    elapsed,
    narration::{asks, narrate},
    progress,
    step::is_active,
};
use lifeboat_runtime::{
    invoke::{Level, Note, StepNote},
    journal::Recorded,
    report::{Report, Reporter},
};

use super::View;
use crate::output::{BAD, QUIET, STRONG, hanging, note, styled};

/// A step shows its progress when it has taken this long, and then at most once in this time.
const PROGRESS_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// Plain lines on standard error.
pub(super) struct Lines {
    /// Whether a prompt follows each question and shows it whole.
    prompts: bool,
    last_progress: Mutex<BTreeMap<StepId, Timestamp>>,
}

impl Lines {
    pub(super) fn new(prompts: bool) -> Self {
        Self { prompts, last_progress: Mutex::new(BTreeMap::new()) }
    }

    /// Whether it is time for another line about that step's progress. Notes come late: a step may be over by then, and a
    /// part of it that is done is not news after the whole.
    fn progress_is_due(&self, step: &StepRun, now: Timestamp) -> bool {
        let Some(started) = step.started.filter(|_| is_active(&step.state)) else { return false };
        let mut last = self.last_progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A later attempt starts anew.
        let since = last.get(&step.id).map_or(started, |told| started.max(*told));
        let due = now.duration_since(since) >= PROGRESS_EVERY;
        if due {
            last.insert(step.id.clone(), now);
        }
        due
    }

    /// Whether a note makes a line now.
    fn is_due(&self, said: &StepNote, run: &Run, now: Timestamp) -> bool {
        let step = || run.find(&said.step);
        !matches!(said.note, Note::Progress { .. }) || step().is_some_and(|step| self.progress_is_due(step, now))
    }
}

impl Reporter for Lines {
    fn report(&self, report: &Report, run: &Run) {
        match report {
            Report::Recorded(recorded) if self.prompts && asks(&recorded.event) => {}
            Report::Recorded(recorded) => note(event(recorded, run)),
            Report::Refused(refusal) => self.say(&refused(refusal)),
            Report::Note(said) => {
                let now = Timestamp::now();
                if let Some(text) = note_text(said)
                    && self.is_due(said, run, now)
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

/// A request cannot be carried out.
pub(super) fn refused(refusal: &Refusal) -> String {
    format!("{} {}", styled(BAD, format_args!("refused[{}]:", refusal.code)), refusal.message)
}

/// An event as a line.
pub(super) fn event(recorded: &Recorded, run: &Run) -> String {
    let line = narrate(&recorded.event, recorded.at, run);
    stamped(recorded.at, line.step.as_ref(), &line.text)
}

/// `12:03:04 restore started`.
fn stamped(at: Timestamp, step: Option<&StepId>, text: &str) -> String {
    let (time, text) = (styled(QUIET, elapsed::time_of_day(at)), hanging(text));
    match step {
        Some(step) => format!("{time} {} {text}", styled(STRONG, step)),
        None => format!("{time} {text}"),
    }
}

/// What a plugin said, as a line; nothing for what only its author wants to know.
pub(super) fn note_text(said: &StepNote) -> Option<String> {
    match &said.note {
        Note::Progress { done, total, unit, message } => Some(progress::text(*done, *total, unit, message)),
        Note::Log { level: Level::Debug, .. } => None,
        Note::Log { message, fields, .. } => {
            let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            Some(format!("{message}{fields}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::{
        plan::OnFailure,
        run::{Attempt, StepState},
    };

    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A step that began at second 0.
    fn step(name: &str, state: StepState) -> StepRun {
        StepRun {
            id: StepId::new(name).unwrap(),
            state,
            attempts: 1,
            failures: 0,
            interruptions: 0,
            engine_ended: None,
            observations: 0,
            undo_attempts: 0,
            undo_failures: 0,
            in_doubt: false,
            on_failure: OnFailure::Stop,
            section: lifeboat_core::plan::Section::Steps,
            started: Some(second(0)),
            counted_from: None,
            changed: None,
        }
    }

    #[test]
    fn progress_lines_are_rare_and_each_step_has_its_own_clock() {
        let lines = Lines::new(false);
        let attempt = Attempt { number: 1, parameters: serde_json::Value::Null, started: second(0), deadline: None };
        let running = |name: &str| step(name, StepState::Running(attempt.clone()));
        assert!(!lines.progress_is_due(&running("a"), second(4)), "a short step needs none");
        assert!(lines.progress_is_due(&running("a"), second(6)));
        assert!(!lines.progress_is_due(&running("a"), second(10)));
        assert!(lines.progress_is_due(&running("b"), second(10)));
        assert!(lines.progress_is_due(&running("a"), second(11)));
    }

    #[test]
    fn a_step_that_is_over_makes_no_progress() {
        assert!(!Lines::new(false).progress_is_due(&step("a", StepState::Cancelled), second(60)));
    }
}
