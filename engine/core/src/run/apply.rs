//! The fold: one event on one run.

use jiff::Timestamp;

use super::{Phase, Run, transition, view::View};
use crate::event::Event;

/// An event that can not have happened in this state: a damaged journal while loading, a bug while running.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} can not happen here: {state}")]
pub struct Illegal {
    /// The event, in short.
    pub event: String,
    /// The state in which it came, in short.
    pub state: String,
}

impl Run {
    /// Lets the event happen. Total: every event either is legal here and changes the run, or is refused and changes
    /// nothing.
    pub fn apply(&mut self, at: Timestamp, event: &Event) -> Result<(), Illegal> {
        let change = transition(self, at, event).ok_or_else(|| self.illegal(event))?;
        if let Event::RunStarted(started) = event {
            self.started = Some((at, started.clone()));
        }
        if let Some((index, step)) = change.step {
            self.steps[index] = step;
        }
        if let Some(phase) = change.phase {
            self.phase = phase;
        }
        Ok(())
    }

    fn illegal(&self, event: &Event) -> Illegal {
        let state = match event.step().map(|id| (id, self.position(id))) {
            Some((id, None)) => format!("the plan has no step `{id}`"),
            Some((id, Some(index))) => {
                format!("step `{id}` is {}, the run {}", first_word(&self.steps[index].state), self.phase_word())
            }
            None => format!("the run {}", self.phase_word()),
        };
        Illegal { event: first_word(event), state }
    }

    fn phase_word(&self) -> &'static str {
        match self.phase {
            Phase::NotStarted => "has not started",
            Phase::Running => "is running",
            Phase::Stopping { .. } => "is stopping",
            Phase::Undoing { .. } => "is being undone",
            Phase::Finished { .. } => "is finished",
        }
    }
}

/// The name of the variant.
fn first_word(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
}
