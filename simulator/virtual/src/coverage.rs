//! Which paths through a runbook the cases took: what was not taken was not tested.

use std::collections::BTreeSet;

use lifeboat_core::{
    event::{Event, OperatorAnswer, SkipReason},
    failure::{Failure, FailureKind},
    input::Purpose,
    name::StepId,
    plan::{Plan, Step, StepKind},
};
use lifeboat_runtime::journal::Recorded;
use serde::Serialize;

use super::lives::{LifeEnd, Played};

#[cfg(test)]
mod tests;

/// How many cases took each path through each step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// One a step, in the order of the plan.
    pub steps: Vec<StepCoverage>,
}

/// How many cases took each path through a step. `None`: the step has no such path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepCoverage {
    /// Id of the step.
    pub step: StepId,
    /// It succeeded.
    pub succeeded: Option<u64>,
    /// An attempt failed, or a person said no.
    pub failed: Option<u64>,
    /// An attempt or a question ran out of time.
    pub timed_out: Option<u64>,
    /// The engine ended while it was under way.
    pub crashed: Option<u64>,
    /// Another engine owned the run while it was under way.
    pub taken_over: Option<u64>,
    /// It was unknown how far an attempt had come.
    pub interrupted: Option<u64>,
    /// Its condition was false.
    pub skipped: Option<u64>,
    /// It was taken back.
    pub undone: Option<u64>,
}

/// The paths, in the order of the columns.
const PATHS: [&str; 8] =
    ["succeeded", "failed", "timed out", "crashed", "taken over", "interrupted", "skipped by `when`", "undone"];

impl StepCoverage {
    fn of(plan: &Plan, step: &Step) -> Self {
        let action = step.action().is_some();
        let may = |possible: bool| possible.then_some(0);
        let asks = matches!(&step.kind, StepKind::Approve { .. } | StepKind::Manual { .. });
        let expires = matches!(&step.kind, StepKind::Approve { expires: Some(_), .. });
        Self {
            step: step.id.clone(),
            succeeded: Some(0),
            failed: may(!matches!(&step.kind, StepKind::Manual { verify: None, .. })),
            // The host ends a call whose step has no time-out; a question without one stands as long as it takes.
            timed_out: may(action || expires || step.timeout.is_some()),
            crashed: may(action || asks),
            taken_over: may(action || asks),
            interrupted: may(action),
            skipped: may(step.when.is_some() || is_called_under_a_condition(plan, step)),
            undone: may(step.undo.is_some()),
        }
    }

    /// Every path with its name, in the order of the columns.
    pub fn paths(&self) -> [(&'static str, Option<u64>); 8] {
        let counts = [
            self.succeeded,
            self.failed,
            self.timed_out,
            self.crashed,
            self.taken_over,
            self.interrupted,
            self.skipped,
            self.undone,
        ];
        std::array::from_fn(|place| (PATHS[place], counts[place]))
    }

    /// The paths that the step has and no case took.
    pub fn untested(&self) -> impl Iterator<Item = &'static str> {
        self.paths().into_iter().filter(|(_, cases)| *cases == Some(0)).map(|(path, _)| path)
    }
}

/// Whether the step stands in a called runbook of which no step is done where a condition is false.
fn is_called_under_a_condition(plan: &Plan, step: &Step) -> bool {
    let mut call = step.within.and_then(|call| plan.called.get(call));
    while let Some(called) = call {
        if called.when.is_some() {
            return true;
        }
        call = called.within.and_then(|call| plan.called.get(call));
    }
    false
}

/// Whether that is the step, or an item of its list.
fn is_of(step: &StepId, id: &StepId) -> bool {
    id.as_str().strip_prefix(step.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
}

impl Coverage {
    /// Nothing of the plan was tested yet.
    pub fn new(plan: &Plan) -> Self {
        Self { steps: plan.steps.iter().map(|step| StepCoverage::of(plan, step)).collect() }
    }

    /// Adds the paths that a case took.
    pub fn add(&mut self, played: &Played) {
        for step in &mut self.steps {
            let mut seen = Seen::default();
            let own =
                played.records.iter().filter(|record| record.event.step().is_some_and(|id| is_of(&step.step, id)));
            own.for_each(|record| seen.look(&record.event));
            seen.look_at_lives(&step.step, played);
            let count = |path: &mut Option<u64>, yes: bool| *path = path.map(|cases| cases + u64::from(yes));
            count(&mut step.succeeded, seen.succeeded);
            count(&mut step.failed, seen.failed);
            count(&mut step.timed_out, seen.timed_out);
            count(&mut step.crashed, seen.crashed);
            count(&mut step.taken_over, seen.taken_over);
            count(&mut step.interrupted, seen.interrupted);
            count(&mut step.skipped, seen.skipped);
            count(&mut step.undone, seen.undone);
        }
    }

    /// Adds what another part of the cases took.
    pub fn join(&mut self, other: &Self) {
        for (step, other) in self.steps.iter_mut().zip(&other.steps) {
            let add = |path: &mut Option<u64>, other: Option<u64>| *path = path.zip(other).map(|(a, b)| a + b);
            add(&mut step.succeeded, other.succeeded);
            add(&mut step.failed, other.failed);
            add(&mut step.timed_out, other.timed_out);
            add(&mut step.crashed, other.crashed);
            add(&mut step.taken_over, other.taken_over);
            add(&mut step.interrupted, other.interrupted);
            add(&mut step.skipped, other.skipped);
            add(&mut step.undone, other.undone);
        }
    }

    /// The paths that no case took, each with its step.
    pub fn untested(&self) -> Vec<(&StepId, &'static str)> {
        self.steps.iter().flat_map(|step| step.untested().map(|path| (&step.step, path))).collect()
    }
}

/// What a case shows of a step and of the items of its list.
#[derive(Debug, Default)]
struct Seen<'a> {
    succeeded: bool,
    failed: bool,
    timed_out: bool,
    crashed: bool,
    taken_over: bool,
    interrupted: bool,
    skipped: bool,
    undone: bool,
    /// Those for which another call is in flight than an attempt: what became of one is asked, or it is taken back.
    beside: BTreeSet<&'a StepId>,
}

impl<'a> Seen<'a> {
    fn look(&mut self, event: &'a Event) {
        match event {
            Event::StepStarted { step, .. } => drop(self.beside.remove(step)),
            Event::ObservationStarted { step, .. } | Event::UndoStarted { step, .. } => drop(self.beside.insert(step)),
            // What an operator did in its stead is no success of the step.
            Event::StepSucceeded { .. } | Event::ResolvedByHand { reason: None, .. } => self.succeeded = true,
            Event::AttemptFailed { step, failure, .. } if !self.beside.contains(step) => self.failure(failure),
            Event::StepFailed { failure, .. } => self.failure(failure),
            Event::AttemptInterrupted { .. } => self.interrupted = true,
            Event::StepSkipped { reason: SkipReason::WhenFalse | SkipReason::NotAsked, .. } => self.skipped = true,
            Event::OperatorAnswered { answer: OperatorAnswer::GiveUp, .. } => self.failed = true,
            Event::StepUndone { .. } => self.undone = true,
            _ => {}
        }
    }

    fn failure(&mut self, failure: &Failure) {
        let codes = ["run-timed-out", "run-approval-expired", "host-deadline"];
        let out_of_time = codes.contains(&failure.reason().code.as_str());
        let interrupted = failure.kind() == FailureKind::Interrupted;
        self.timed_out |= out_of_time;
        self.interrupted |= interrupted;
        self.failed |= !out_of_time && !interrupted;
    }

    /// A call or a question that stood when an engine ended was met by the crash.
    fn look_at_lives(&mut self, step: &StepId, played: &Played) {
        let cut_off = |life: usize| {
            matches!(played.lives.get(life), Some(LifeEnd::Died | LifeEnd::DiskFull | LifeEnd::Unwritten))
        };
        let called = played.truth.calls.iter().filter(|call| is_of(step, &call.step));
        let mut attempts = called.filter(|call| matches!(call.purpose, Purpose::Run | Purpose::Verify));
        self.crashed |= attempts.any(|call| call.outlived && cut_off(call.life));
        self.crashed |= played.truth.questions_cut_off.iter().any(|(asked, life)| is_of(step, asked) && cut_off(*life));
        self.taken_over = disowned(played).any(|left| is_under_way(step, &played.records[..left]));
    }
}

/// How many records there were each time that another engine owned the run.
fn disowned(played: &Played) -> impl Iterator<Item = usize> + '_ {
    let lives = played.lives.iter().zip(&played.truth.left).filter(|(end, _)| **end == LifeEnd::Disowned);
    lives.map(|(_, left)| usize::try_from(*left).unwrap_or(usize::MAX).min(played.records.len()))
}

/// Whether a step is under way from that event on: an attempt or a question of it stands.
pub(super) fn is_under_way_with(event: &Event) -> bool {
    matches!(event, Event::StepStarted { .. } | Event::ApprovalRequested { .. } | Event::HandsRequested { .. })
}

/// Whether an attempt or a question of the step, or of an item of its list, stands at the end of these records.
fn is_under_way(step: &StepId, records: &[Recorded]) -> bool {
    let mut under_way = BTreeSet::new();
    let own = records.iter().map(|record| &record.event).filter_map(|event| Some((event.step()?, event)));
    for (id, event) in own.filter(|(id, _)| is_of(step, id)) {
        if is_under_way_with(event) {
            under_way.insert(id)
        } else {
            under_way.remove(id)
        };
    }
    !under_way.is_empty()
}
