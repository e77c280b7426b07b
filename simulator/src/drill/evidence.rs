//! Everything that one holding of a drill brought to light, before it is measured.

use std::borrow::Cow;

use jiff::Timestamp;
use lifeboat_core::{
    event::{Event, Outcome},
    run::{Run, StepState},
};
use lifeboat_runtime::session::How;
use serde_json::Value;

use super::engine::Executed;
use crate::{
    clock::{At, Clock},
    fault::Deletion,
    host::{Load, Readiness},
    ledger::{History, WriteOutcome},
    measurement::{FinalState, Probe, StabilityRule},
    probes::Detection,
    testbed::{BackupInfo, Notification, SystemInfo, WorkEntry},
    workload::{GoneOn, WriterReport},
};

/// What was read after the disaster, or why it could not be: then it is unmeasured, and never taken for right.
pub(super) type Reading<T> = Result<T, String>;

/// What was seen.
pub(super) struct Evidence {
    pub(super) clock: Clock,
    pub(super) history: History,
    /// The full read on the application's path, after the writers had stopped.
    pub(super) state: Reading<FinalState>,
    /// The same read directly from the server.
    pub(super) direct: Reading<FinalState>,
    pub(super) probes: Vec<Probe>,
    /// Up to here the service was watched for the outage; `None`: to the last probe.
    pub(super) watched_until: Option<At>,
    pub(super) rule: StabilityRule,
    pub(super) steady_from: At,
    pub(super) steady_until: At,
    pub(super) deletion: Option<Deletion>,
    pub(super) gone_on: GoneOn,
    pub(super) detection: Option<Detection>,
    pub(super) writers: WriterReport,
    /// Acknowledgements that were handed to the ledger, the marker's among them.
    pub(super) handed_in: u64,
    pub(super) backup: BackupInfo,
    pub(super) backup_ended: At,
    pub(super) marker: i64,
    /// What lay in the work folder before the fault, and what at the end.
    pub(super) work_before: Vec<WorkEntry>,
    pub(super) work_after: Reading<Vec<WorkEntry>>,
    pub(super) executed: Option<Executed>,
    pub(super) redundant: Option<At>,
    pub(super) systems: Vec<SystemInfo>,
    pub(super) notifications: Vec<Notification>,
    pub(super) bindings_digest: String,
    /// What the machine could do before the drill, and the load at the fault and at the end.
    pub(super) ready: Readiness,
    pub(super) load_at_fault: Load,
    pub(super) load_at_end: Load,
}

/// A copy that is not removed because of what only it has.
pub(super) struct KeptCopy<'a> {
    pub(super) name: &'a str,
    /// Rows that could not go back.
    pub(super) left: u64,
}

impl Evidence {
    /// The state of the engine's run, as far as it came.
    pub(super) fn run(&self) -> Option<&Run> {
        self.executed.as_ref().map(|executed| &executed.state)
    }

    /// When the fault began: `T_c`.
    pub(super) fn fault(&self) -> Option<At> {
        self.deletion.as_ref().map(|deletion| deletion.began)
    }

    /// The probes that were made while the drill waited for the service to be stable.
    pub(super) fn watched(&self) -> Cow<'_, [Probe]> {
        let Some(until) = self.watched_until else { return Cow::Borrowed(&self.probes) };
        Cow::Owned(self.probes.iter().filter(|probe| probe.ended <= until).cloned().collect())
    }

    /// Whether the drill itself ended the recovery, because it had taken as long as the drill gives it.
    pub(super) fn out_of_time(&self) -> bool {
        self.executed.as_ref().is_some_and(|executed| executed.out_of_time)
    }

    /// How the run ended, in the words of the report.
    pub(super) fn outcome(&self) -> &'static str {
        match self.executed.as_ref().map(|executed| &executed.ended) {
            None => "not_started",
            Some(Err(_)) if self.started().is_none() => "not_started",
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

    /// Why the engine could not begin or go on.
    pub(super) fn engine_error(&self) -> Option<String> {
        self.executed.as_ref()?.ended.as_ref().err().map(|error| format!("{}: {error}", error.code()))
    }

    /// The copy of which the run says that it has what is nowhere else.
    pub(super) fn kept_copy(&self) -> Option<KeptCopy<'_>> {
        let left = self.output("merge", "rows_left").and_then(Value::as_u64).filter(|rows| *rows > 0)?;
        let name = self.output("restore", "instance").and_then(Value::as_str)?;
        Some(KeptCopy { name, left })
    }

    fn output(&self, step: &str, name: &str) -> Option<&Value> {
        let step = self.run()?.steps.iter().find(|ran| ran.id.as_str() == step)?;
        match &step.state {
            StepState::Succeeded { outputs, .. } => outputs.get(name),
            _ => None,
        }
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

    /// When the engine's first step started.
    pub(super) fn started(&self) -> Option<At> {
        self.find(|event| matches!(event, Event::StepStarted { .. }))
    }

    /// When that step started.
    pub(super) fn step_started(&self, name: &str) -> Option<At> {
        self.find(|event| matches!(event, Event::StepStarted { step, .. } if step.as_str() == name))
    }

    /// When that step had succeeded.
    pub(super) fn step_succeeded(&self, name: &str) -> Option<At> {
        self.find(|event| matches!(event, Event::StepSucceeded { step, .. } if step.as_str() == name))
    }

    /// Acknowledgements between two instants.
    pub(super) fn acknowledged_between(&self, from: At, until: At) -> usize {
        self.history.acknowledged().filter(|(at, _)| (from..=until).contains(at)).count()
    }

    /// Writes that have no answer in the ledger.
    pub(super) fn pending(&self) -> usize {
        self.history.count(WriteOutcome::Pending)
    }

    /// The wall time of an instant.
    pub(super) fn wall(&self, at: At) -> Timestamp {
        self.clock.wall(at)
    }

    fn find(&self, wanted: impl Fn(&Event) -> bool) -> Option<At> {
        let events = &self.executed.as_ref()?.events;
        events.iter().find(|recorded| wanted(&recorded.event)).map(|recorded| self.clock.at(recorded.at))
    }
}
