//! An episode of a drill: what struck since the last one, and the recovery from it.

use std::borrow::Cow;

use lifeboat_core::{
    event::{Event, Outcome},
    run::{Run, StepState},
};
use lifeboat_runtime::session::How;
use serde_json::Value;

use super::executed::Executed;
use crate::{
    clock::{At, Clock},
    fault::Struck,
    host::Load,
    measurement::Probe,
    probes::Detection,
    workload::shop::GoneOn,
};

/// What happened in an episode.
#[derive(Default)]
pub(super) struct Episode {
    /// The undisturbed time before the first fault.
    pub(super) steady_from: At,
    pub(super) steady_until: At,
    /// The faults, in order.
    pub(super) struck: Vec<Struck>,
    /// Whether one of them may lose writes that were acknowledged, and nothing is wrong.
    pub(super) may_lose_writes: bool,
    /// What the application did to the damage because it was unaware of it.
    pub(super) gone_on: GoneOn,
    pub(super) detection: Option<Detection>,
    pub(super) executed: Option<Executed>,
    /// The archive holds the recovered state.
    pub(super) redundant: Option<At>,
    /// Up to here the service was watched for the outage; `None`: to the last probe.
    pub(super) watched_until: Option<At>,
    pub(super) load_at_fault: Load,
}

/// A copy that is not removed because it holds the only instance of some rows.
pub(super) struct KeptCopy<'a> {
    pub(super) name: &'a str,
    /// Rows that could not be put back.
    pub(super) left: u64,
}

impl Episode {
    /// The state of the engine's run, as far as it came.
    pub(super) fn run(&self) -> Option<&Run> {
        self.executed.as_ref().map(|executed| &executed.state)
    }

    /// When the first fault began: `T_c`.
    pub(super) fn fault(&self) -> Option<At> {
        self.struck.first().map(|struck| struck.began)
    }

    /// The probes that were made while the drill waited for the service to be stable.
    pub(super) fn watched<'a>(&self, probes: &'a [Probe]) -> Cow<'a, [Probe]> {
        let Some(until) = self.watched_until else { return Cow::Borrowed(probes) };
        Cow::Owned(probes.iter().filter(|probe| probe.ended <= until).cloned().collect())
    }

    /// Whether the drill itself ended the recovery because its time limit had passed.
    pub(super) fn out_of_time(&self) -> bool {
        self.executed.as_ref().is_some_and(|executed| executed.out_of_time)
    }

    /// How the run ended, in the words of the report.
    pub(super) fn outcome(&self) -> &'static str {
        match self.executed.as_ref().map(|executed| &executed.ended) {
            None => "not_started",
            Some(Err(_)) if !self.has_started() => "not_started",
            Some(Err(_)) => "stopped",
            Some(Ok(ended)) => match &ended.how {
                How::Finished(Outcome::Succeeded) => "succeeded",
                How::Finished(Outcome::SucceededWithExceptions) => "succeeded_with_exceptions",
                How::Finished(Outcome::Failed) => "failed",
                How::Finished(Outcome::RolledBack) => "rolled_back",
                How::Finished(Outcome::Aborted) => "aborted",
                How::Finished(Outcome::DryRun) => "dry_run",
                How::Waiting(_) => "waiting",
                How::Stopped => "stopped",
            },
        }
    }

    /// Why the engine could not begin or continue.
    pub(super) fn engine_error(&self) -> Option<String> {
        self.executed.as_ref()?.ended.as_ref().err().map(|error| format!("{}: {error}", error.code()))
    }

    /// The copy that, according to the run, holds rows that exist nowhere else. Steps say so by the names of their outputs, which are
    /// the same in every runbook: `rows_left`, and `instance` for the copy.
    pub(super) fn kept_copy(&self) -> Option<KeptCopy<'_>> {
        let left = self.outputs("rows_left").filter_map(Value::as_u64).max().filter(|rows| *rows > 0)?;
        let name = self.outputs("instance").filter_map(Value::as_str).next_back()?;
        Some(KeptCopy { name, left })
    }

    /// The outputs of that name of the steps that succeeded, in their order.
    fn outputs(&self, name: &str) -> impl DoubleEndedIterator<Item = &Value> {
        let steps = self.run().into_iter().flat_map(|run| &run.steps);
        let succeeded = steps.filter_map(|step| match &step.state {
            StepState::Succeeded { outputs, .. } => Some(outputs),
            _ => None,
        });
        succeeded.filter_map(move |outputs| outputs.get(name))
    }

    /// The first failure among the steps.
    pub(super) fn step_failure(&self) -> Option<String> {
        self.run()?.steps.iter().find_map(|step| match &step.state {
            StepState::Failed { failure } | StepState::UndoFailed { failure, .. } => {
                let reason = failure.reason();
                Some(format!("{} failed with {}: {}", step.id, reason.code, reason.message))
            }
            _ => None,
        })
    }

    fn has_started(&self) -> bool {
        self.events().any(|event| matches!(event, Event::StepStarted { .. }))
    }

    /// When the engine's first step started.
    pub(super) fn started(&self, clock: &Clock) -> Option<At> {
        self.find(clock, |event| matches!(event, Event::StepStarted { .. }))
    }

    /// When that step started.
    pub(super) fn step_started(&self, clock: &Clock, name: &str) -> Option<At> {
        self.find(clock, |event| matches!(event, Event::StepStarted { step, .. } if step.as_str() == name))
    }

    /// When that step had succeeded.
    pub(super) fn step_succeeded(&self, clock: &Clock, name: &str) -> Option<At> {
        self.find(clock, |event| matches!(event, Event::StepSucceeded { step, .. } if step.as_str() == name))
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.executed.iter().flat_map(|executed| &executed.events).map(|recorded| &recorded.event)
    }

    fn find(&self, clock: &Clock, wanted: impl Fn(&Event) -> bool) -> Option<At> {
        let events = &self.executed.as_ref()?.events;
        events.iter().find(|recorded| wanted(&recorded.event)).map(|recorded| clock.at(recorded.at))
    }
}
