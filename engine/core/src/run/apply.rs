//! The fold: one event on one run.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Cause, Item, Phase, Run, Slot, StepRun,
    agenda::{Agenda, Need},
    transition::{Change, transition},
};
use crate::{
    event::{Event, SkipReason},
    name::StepId,
};

/// An event that cannot have happened in this state: a damaged journal while loading, a bug while running.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event {event} is illegal in this state: {state}")]
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
            self.onset = started.onset;
        }
        if let Event::OnsetStated { onset, .. } = event {
            self.onset = Some(*onset);
        }
        let Change { step, phase, others, pause } = change;
        self.schedule(event);
        for (slot, step) in step.into_iter().chain(others) {
            self.replace(slot, step);
        }
        if let Some(pause) = pause {
            self.pause = pause;
        }
        if let Event::FanOutBegan { step, items } = event {
            self.add_items(step, items);
        }
        if let Some(phase) = phase {
            if matches!(self.phase, Phase::Running) {
                self.cause = cause(event);
            } else if matches!(phase, Phase::Running) {
                // It continues: what had ended it is dealt with.
                self.cause = None;
            }
            self.phase = phase;
        }
        Ok(())
    }

    fn replace(&mut self, slot: Slot, step: StepRun) {
        let place = self.place(slot);
        let before = std::mem::replace(&mut self.steps[slot], step);
        let after = &self.steps[slot];
        self.agenda.remove(&self.wiring, slot, place, &before);
        self.agenda.insert(&self.wiring, slot, place, after);
        if slot == place {
            for dependent in self.wiring.needs.dependents(place) {
                let ruled_out = |state| self.wiring.rules_out(dependent, place, state);
                let before = Need { open: !before.state.is_over(), unmet: ruled_out(&before.state) };
                let after = Need { open: !after.state.is_over(), unmet: ruled_out(&after.state) };
                self.agenda.need_changed(dependent, before, after, &self.steps[dependent].state);
            }
        }
    }

    /// Remembers a skip that an operator wants until it has come, or the step is wanted once more.
    fn schedule(&mut self, event: &Event) {
        match event {
            Event::SkipScheduled { step, who, reason } => {
                let skip = SkipReason::ByOperator { who: who.clone(), reason: reason.clone() };
                self.skips.extend(self.position(step).map(|slot| (slot, skip)));
            }
            Event::StepSkipped { step, .. } => drop(self.position(step).map(|slot| self.skips.remove(&slot))),
            Event::StepsReopened { steps, .. } => {
                steps.iter().for_each(|step| drop(self.position(step).map(|slot| self.skips.remove(&slot))));
            }
            _ => {}
        }
    }

    fn add_items(&mut self, id: &StepId, values: &[Value]) {
        let Some(of) = self.position(id) else { return };
        for (number, value) in values.iter().enumerate() {
            let item = StepRun::waiting(id.item(number), self.steps[of].on_failure, self.steps[of].section);
            let slot = self.steps.len();
            self.items.push(Item { of, value: value.clone() });
            self.index.insert(item.id.clone(), slot);
            self.agenda.insert(&self.wiring, slot, of, &item);
            self.steps.push(item);
        }
    }

    /// Whether what the run keeps about its steps, so as not to look at all of them, is what a look at all of them gives. For tests.
    #[doc(hidden)]
    pub fn is_consistent(&self) -> bool {
        let planned = &self.steps[..self.wiring.len()];
        let waiting: Vec<_> =
            planned.iter().map(|step| StepRun::waiting(step.id.clone(), step.on_failure, step.section)).collect();
        let mut fresh =
            Self { agenda: Agenda::of(&self.wiring, &waiting), steps: waiting, items: Vec::new(), ..self.clone() };
        for (step, item) in self.steps[planned.len()..].iter().zip(&self.items) {
            let slot = fresh.steps.len();
            fresh.items.push(item.clone());
            fresh.agenda.insert(&self.wiring, slot, item.of, step);
            fresh.steps.push(step.clone());
        }
        planned.iter().enumerate().for_each(|(slot, step)| fresh.replace(slot, step.clone()));
        fresh == *self
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
            Phase::Handling { .. } => "has ended except for its handlers",
            Phase::Finished { .. } => "is finished",
        }
    }
}

/// What ended the run early, where this event did.
fn cause(event: &Event) -> Option<Cause> {
    match event {
        Event::StepFailed { step, failure } => {
            Some(Cause { step: Some(step.clone()), why: failure.reason().message.clone() })
        }
        Event::AbortRequested { who, reason, .. } => {
            Some(Cause { step: None, why: format!("ended by {who}: {reason}") })
        }
        _ => None,
    }
}

/// The name of the variant.
fn first_word(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
}
