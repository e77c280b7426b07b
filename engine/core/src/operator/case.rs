//! A request with the state that it is checked against, and the checks that most requests share.

use jiff::Timestamp;

use super::{Refusal, Request, refusal::standing};
use crate::{
    event::{Outcome, Person},
    name::StepId,
    plan::{Plan, Section, Step},
    run::{Phase, Run, Slot, StepRun},
};

/// A request with the state that it is checked against.
pub(super) struct Case<'a> {
    pub(super) plan: &'a Plan,
    pub(super) run: &'a Run,
    pub(super) request: &'a Request,
    pub(super) now: Timestamp,
}

impl<'a> Case<'a> {
    pub(super) fn who(&self) -> Person {
        self.request.who.clone()
    }

    pub(super) fn step(&self, index: Slot) -> &'a StepRun {
        &self.run.steps[index]
    }

    pub(super) fn id(&self, index: Slot) -> &'a StepId {
        &self.step(index).id
    }

    /// What the plan says about the step, or about the step of which it is an item.
    pub(super) fn planned(&self, index: Slot) -> &'a Step {
        &self.plan.steps[self.run.place(index)]
    }

    pub(super) fn position(&self, id: &StepId) -> Result<Slot, Refusal> {
        self.run.position(id).ok_or_else(|| {
            let known: Vec<&str> = self.plan.steps.iter().map(|step| step.id.as_str()).collect();
            Refusal::new(
                "operator-unknown-step",
                format!("the run has no step `{id}`; its steps are {}", known.join(", ")),
            )
        })
    }

    /// The run continues by itself, as far as it is not paused.
    pub(super) fn not_over_yet(&self, index: Slot) -> Result<(), Refusal> {
        match &self.run.phase {
            Phase::Running
            | Phase::Stopping { .. }
            | Phase::Undoing { aborted_by: None }
            | Phase::Handling { aborted_by: None, .. } => Ok(()),
            _ => Err(Refusal::new("operator-run-over", format!("{}, and the run is over", standing(self.step(index))))),
        }
    }

    pub(super) fn not_finished(&self) -> Result<(), Refusal> {
        match &self.run.phase {
            Phase::Finished { outcome, .. } => {
                Err(Refusal::new("operator-run-over", format!("the run is over: it {}", ended(*outcome))))
            }
            Phase::NotStarted => Err(Refusal::new("operator-run-over", "the run has not started")),
            _ => Ok(()),
        }
    }

    /// What is done at the end of a run, to tell people how it ended, is not an operator's.
    pub(super) fn is_of_the_recovery(&self, index: Slot) -> Result<(), Refusal> {
        if self.planned(index).section == Section::Steps {
            return Ok(());
        }
        let message = format!("`{}` is a handler: it runs when the run ends, and cannot be changed", self.id(index));
        Err(Refusal::new("operator-handler", message))
    }

    /// Nothing was undone, nobody ended the run, and it did not end well.
    pub(super) fn can_be_reopened(&self) -> Result<(), Refusal> {
        if self.run.can_be_reopened() {
            return Ok(());
        }
        let why = match &self.run.phase {
            Phase::Stopping { .. } => "the run was aborted".to_owned(),
            Phase::Undoing { .. } => "the run is being undone".to_owned(),
            Phase::Handling { .. } => "the handlers of the run are running; try again when they have ended".to_owned(),
            Phase::Finished { outcome: Outcome::Failed, .. } if self.run.is_dry_run() => {
                "a dry-run that is over cannot continue; start another one".to_owned()
            }
            Phase::Finished { outcome: Outcome::Failed, .. } => "the run was undone".to_owned(),
            Phase::Finished { outcome, .. } => format!("the run is over: it {}", ended(*outcome)),
            Phase::NotStarted | Phase::Running => "the run has not started".to_owned(),
        };
        Err(Refusal::new("operator-run-over", why))
    }

    pub(super) fn refuse_where_others_failed(&self, others: &[&StepId]) -> Result<(), Refusal> {
        if others.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = others.iter().map(|id| format!("`{id}`")).collect();
        let message = format!(
            "{} failed too; to continue the run, skip or resolve every other failed step first, or retry all of \
             them together",
            names.join(", ")
        );
        Err(Refusal::new("operator-others-failed", message))
    }
}

fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::SucceededWithExceptions => "succeeded with exceptions",
        Outcome::Failed => "failed",
        Outcome::RolledBack => "failed, and everything was undone",
        Outcome::Aborted => "was ended early",
        Outcome::DryRun => "was a dry-run",
    }
}
