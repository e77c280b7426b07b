//! A decision in the making: the events so far, and the run as they leave it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    event::{Event, Mode, RunStarted},
    expression::Scope,
    name::StepId,
    plan::{Plan, Step, StepIndex},
    run::{Phase, Run, StepRun, StepState, View, transition},
};

/// Changed steps are laid over the run, so that a decision costs what it changes and not a copy of the run.
pub(crate) struct Draft<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) now: Timestamp,
    run: &'a Run,
    changed: BTreeMap<StepIndex, StepRun>,
    phase: Option<Phase>,
    started: Option<(Timestamp, RunStarted)>,
    events: Vec<Event>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(plan: &'a Plan, run: &'a Run, now: Timestamp) -> Self {
        Self { plan, now, run, changed: BTreeMap::new(), phase: None, started: None, events: Vec::new() }
    }

    /// Adds an event. One that can not happen is left out: policy never proposes any, and a test holds it to that.
    pub(crate) fn emit(&mut self, event: Event) -> bool {
        let Some(change) = transition(self, self.now, &event) else {
            debug_assert!(false, "policy proposed an illegal event: {event:?} in {:?}", self.state_of(&event));
            return false;
        };
        if let Event::RunStarted(started) = &event {
            self.started = Some((self.now, started.clone()));
        }
        if let Some((index, step)) = change.step {
            self.changed.insert(index, step);
        }
        if change.phase.is_some() {
            self.phase = change.phase;
        }
        self.events.push(event);
        true
    }

    fn state_of(&self, event: &Event) -> Option<&StepState> {
        event.step().and_then(|id| self.position(id)).map(|index| &self.step(index).state)
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn into_events(self) -> Vec<Event> {
        self.events
    }

    pub(crate) fn planned(&self, index: StepIndex) -> &'a Step {
        &self.plan.steps[index]
    }

    pub(crate) fn id(&self, index: StepIndex) -> StepId {
        self.planned(index).id.clone()
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase(), Phase::Running)
    }

    /// The instant after that time, or the last one that there is.
    pub(crate) fn after(&self, wait: SignedDuration) -> Timestamp {
        self.now.checked_add(wait).unwrap_or(Timestamp::MAX)
    }

    /// When an attempt that starts now is over.
    pub(crate) fn deadline(&self, index: StepIndex) -> Option<Timestamp> {
        self.planned(index).timeout.map(|timeout| self.after(timeout))
    }

    /// Gives `read` what expressions can see; `None` before the run has started.
    pub(crate) fn with_scope<T>(
        &self,
        own: Option<(StepIndex, &Value)>,
        read: impl FnOnce(&Scope<'_>) -> T,
    ) -> Option<T> {
        let started = self.started.as_ref().or(self.run.started.as_ref())?;
        let outputs = |index: StepIndex| match own {
            Some((step, outputs)) if step == index => Some(outputs),
            _ => outputs(&self.step(index).state),
        };
        Some(read(&Scope { plan: self.plan, started, outputs: &outputs }))
    }
}

fn outputs(state: &StepState) -> Option<&Value> {
    match state {
        StepState::Succeeded { outputs, .. } | StepState::Undoing { outputs, .. } => Some(outputs),
        StepState::ResolvedByHand { evidence, .. } => Some(evidence),
        _ => None,
    }
}

impl View for Draft<'_> {
    fn phase(&self) -> &Phase {
        self.phase.as_ref().unwrap_or(&self.run.phase)
    }

    fn position(&self, id: &StepId) -> Option<StepIndex> {
        self.run.position(id)
    }

    fn step(&self, index: StepIndex) -> &StepRun {
        self.changed.get(&index).unwrap_or_else(|| self.run.step(index))
    }

    fn count(&self) -> usize {
        self.run.count()
    }

    fn is_dry_run(&self) -> bool {
        let started = self.started.as_ref().or(self.run.started.as_ref());
        started.is_some_and(|(_, started)| started.mode == Mode::DryRun)
    }
}
