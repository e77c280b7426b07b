//! A decision in the making: the events so far, already applied to the run.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    event::Event,
    name::StepId,
    plan::{Plan, Section, Step},
    run::{Phase, Run, Slot, StepRun, StepState},
    scope::{Budget, Ending, Scope},
};

/// Every event is applied as it is proposed, so that what follows is decided from the state after it.
pub(crate) struct Draft<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) now: Timestamp,
    /// Whether the engine that resumes a run is still reporting the calls that were cut off. Time passed meanwhile: a call that is
    /// not reported yet must not count as one that ran out of time.
    pub(crate) resuming: bool,
    pub(crate) run: &'a mut Run,
    events: Vec<Event>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(plan: &'a Plan, run: &'a mut Run, now: Timestamp) -> Self {
        Self { plan, now, resuming: false, run, events: Vec::new() }
    }

    /// Adds an event.
    ///
    /// # Panics
    /// Where the event cannot happen: policy is wrong then, and an engine that left it out would continue from a state that nobody
    /// wanted. Nothing of the decision has been written yet.
    pub(crate) fn emit(&mut self, event: Event) {
        if let Err(illegal) = self.run.apply(self.now, &event) {
            panic!("the decision proposes an illegal event: {event:?}: {illegal}");
        }
        self.events.push(event);
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn into_events(self) -> Vec<Event> {
        self.events
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.run.phase
    }

    pub(crate) fn position(&self, id: &StepId) -> Option<Slot> {
        self.run.position(id)
    }

    pub(crate) fn step(&self, slot: Slot) -> &StepRun {
        self.run.step(slot)
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.run.is_dry_run()
    }

    /// What the plan says about the step in the slot, or about the step of which it is an item.
    pub(crate) fn planned(&self, slot: Slot) -> &'a Step {
        &self.plan.steps[self.run.place(slot)]
    }

    pub(crate) fn id(&self, slot: Slot) -> StepId {
        self.step(slot).id.clone()
    }

    /// Whether steps may be tried again: the run, or its handlers, continue.
    pub(crate) fn goes_on(&self) -> bool {
        matches!(self.phase(), Phase::Running | Phase::Handling { aborted_by: None, .. })
    }

    /// The instant after that time, or the last one that there is.
    pub(crate) fn after(&self, wait: SignedDuration) -> Timestamp {
        self.now.checked_add(wait).unwrap_or(Timestamp::MAX)
    }

    /// Whether a call with this deadline has run out of time.
    pub(crate) fn has_passed(&self, deadline: Option<Timestamp>) -> bool {
        !self.resuming && deadline.is_some_and(|deadline| deadline <= self.now)
    }

    /// When an attempt that starts now is over: its own time, or that of the whole step.
    pub(crate) fn deadline(&self, slot: Slot) -> Option<Timestamp> {
        self.undo_deadline(slot).into_iter().chain(self.end_of_time(slot)).min()
    }

    /// When an attempt to take the step back that starts now is over. The time of the whole step does not bound the way back.
    pub(crate) fn undo_deadline(&self, slot: Slot) -> Option<Timestamp> {
        self.planned(slot).timeout.map(|timeout| self.after(timeout))
    }

    /// Whether another attempt of the step can begin at that instant.
    pub(crate) fn has_time(&self, slot: Slot, at: Timestamp) -> bool {
        self.end_of_time(slot).is_none_or(|end| at < end)
    }

    fn end_of_time(&self, slot: Slot) -> Option<Timestamp> {
        let limit = self.planned(slot).time_limit?;
        let from = self.step(slot).counted_from.unwrap_or(self.now);
        Some(from.checked_add(limit).unwrap_or(Timestamp::MAX))
    }

    /// How the recovery ended, for those who tell people.
    fn ending(&self, slot: Slot) -> Option<Ending<'_>> {
        let Phase::Handling { ending, .. } = self.phase() else { return None };
        let cause = self.run.cause.as_ref();
        (self.planned(slot).section != Section::Steps).then(|| Ending {
            outcome: *ending,
            failed_step: cause.and_then(|cause| cause.step.as_ref()).map_or("", StepId::as_str),
            failure: cause.map_or("", |cause| cause.why.as_str()),
        })
    }

    /// Gives `read` what expressions of that step can see, with its own outputs where they are not in its state; `None` before the run
    /// has started.
    pub(crate) fn with_scope<T>(
        &self,
        slot: Slot,
        own: Option<&Value>,
        read: impl FnOnce(&Scope<'_>) -> T,
    ) -> Option<T> {
        let started = self.run.started.as_ref()?;
        let outputs = |index: Slot| match own {
            Some(outputs) if self.run.place(slot) == index => Some(outputs),
            _ => outputs(&self.step(index).state),
        };
        let planned = self.planned(slot);
        let item = self.run.item(slot).zip(planned.each.as_ref().map(|each| &each.item));
        let (within, ending) = (planned.within, self.ending(slot));
        let budget = Budget::default();
        Some(read(&Scope { plan: self.plan, within, started, outputs: &outputs, item, ending, budget: &budget }))
    }
}

fn outputs(state: &StepState) -> Option<&Value> {
    match state {
        StepState::Succeeded { outputs, .. } | StepState::Undoing { outputs, .. } => Some(outputs),
        StepState::ResolvedByHand { evidence, .. } => Some(evidence),
        _ => None,
    }
}
