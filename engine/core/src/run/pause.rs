//! A pause: nothing new begins, and no time counts for what was begun before it.

use jiff::Timestamp;

use super::{EngineEnded, Run, StepRun, StepState, transition::Change};
use crate::event::{Event, Person};

/// A pause that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// Who wanted it.
    pub who: Person,
    /// The reason, as the person gave it.
    pub reason: Option<String>,
}

/// Whether the event has to wait until the run is unpaused: it begins something, or says how something ended for good.
pub(super) fn holds_back(event: &Event) -> bool {
    event.begins_something()
        || matches!(
            event,
            Event::StepFailed { .. } | Event::UndoBegan | Event::HandlersBegan { .. } | Event::RunFinished { .. }
        )
}

/// What ends with the pause, at that instant: every deadline and every wait is later by its length.
pub(super) fn ended(run: &Run, at: Timestamp) -> Option<Change> {
    let since = run.pause.as_ref()?.since;
    let others = run.begun().into_iter().map(|slot| (slot, later(run.step(slot), since, at)));
    Some(Change { others: others.collect(), pause: Some(None), ..Change::default() })
}

/// The step with all its instants later.
fn later(step: &StepRun, since: Timestamp, at: Timestamp) -> StepRun {
    // What was put forward in the pause is later by the part of it that came afterwards.
    let add = |instant: Timestamp, set: Timestamp| {
        instant.checked_add(at.duration_since(since.max(set))).unwrap_or(Timestamp::MAX)
    };
    let mut step = step.clone();
    step.counted_from = step.counted_from.map(|from| add(from, from));
    step.engine_ended = step.engine_ended.map(|ended| EngineEnded { since: add(ended.since, ended.since), ..ended });
    match &mut step.state {
        StepState::Running(attempt) | StepState::Verifying { attempt, .. } | StepState::Undoing { attempt, .. } => {
            attempt.deadline = attempt.deadline.map(|deadline| add(deadline, since));
        }
        // What is wanted now is due when the pause ends.
        StepState::BackingOff { until, .. } if Some(*until) <= step.changed => {}
        StepState::BackingOff { until, .. } => *until = add(*until, since),
        // The time of an observation counts from when it was asked for.
        StepState::Observing(_) => step.changed = step.changed.map(|asked| add(asked, since)),
        // A question that expires does so because what it asks about grows old, paused or not.
        _ => {}
    }
    step
}
