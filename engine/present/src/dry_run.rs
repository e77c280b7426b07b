//! What a dry-run found, for people: what was tried, what a real run would do and with what, and what depends on that.

use crate::{
    values::{cut, values},
    words,
};
use lifeboat_core::{
    event::{Mode, SkipReason},
    name::StepId,
    plan::{Plan, Step, StepKind},
    run::{Run, StepRun, StepState},
};

/// What a dry-run found of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRunStep<'a> {
    /// The step.
    pub step: &'a StepId,
    /// `tried`, `would run`, `would ask`, …
    pub what: &'static str,
    /// What it said, or what it would do and with what.
    pub details: String,
}

/// What a dry-run found of each step; `None` of a real run.
pub fn rows<'a>(plan: &Plan, run: &'a Run) -> Option<Vec<DryRunStep<'a>>> {
    let is_dry = run.started.as_ref().is_some_and(|(_, facts)| facts.mode == Mode::DryRun);
    is_dry.then(|| plan.steps.iter().zip(&run.steps).map(|(planned, step)| row(planned, step)).collect())
}

fn row<'a>(planned: &Step, step: &'a StepRun) -> DryRunStep<'a> {
    let (what, details) = match &step.state {
        StepState::Succeeded { summary, .. } => ("tried", summary.clone()),
        StepState::Skipped { reason: SkipReason::WouldRun { parameters } } => {
            ("would run", format!("{}{}{}", work(planned), reach(planned), values(parameters)))
        }
        StepState::Skipped { reason: SkipReason::WouldAsk { message } } => ("would ask", cut(message)),
        StepState::Skipped { reason: SkipReason::NotKnown { parameters, unknown } } => {
            let needs = unknown.join(", ");
            ("not known", format!("{}{}{}, depends on {needs}", work(planned), reach(planned), values(parameters)))
        }
        StepState::Skipped { reason: SkipReason::WhenFalse } => ("skipped", "its `when` is false".to_owned()),
        StepState::Skipped { reason: SkipReason::NotAsked } => ("skipped", "there is nothing to ask".to_owned()),
        StepState::Skipped { reason: SkipReason::ByOperator { who, reason } } => {
            ("skipped", format!("by {who}: {reason}"))
        }
        StepState::Skipped { reason: SkipReason::NothingFailed } => ("skipped", "nothing failed".to_owned()),
        StepState::Skipped { reason: SkipReason::DoneBefore } => ("skipped", "it was done before".to_owned()),
        StepState::Skipped { reason: SkipReason::NeedNotMet { step } } => ("skipped", format!("`{step}` was not done")),
        StepState::Skipped { reason: SkipReason::FailedBehind { step, failure } } => {
            ("unclear", format!("{}; the reason may be that `{step}` was skipped", words::failure(failure)))
        }
        StepState::Failed { failure } => ("failed", words::failure(failure)),
        _ => ("not tried", format!("{}{}", work(planned), reach(planned))),
    };
    DryRunStep { step: &step.id, what, details }
}

/// What the step does, in a word.
fn work(step: &Step) -> String {
    match &step.kind {
        StepKind::Uses(action) => action.action.to_string(),
        StepKind::Approve { .. } => "an approval".to_owned(),
        StepKind::Manual { .. } => "manual work".to_owned(),
    }
}

/// Which systems it would touch: ` (write primary)`.
fn reach(step: &Step) -> String {
    let Some(action) = step.action() else { return String::new() };
    let roles: Vec<String> = action.grants.iter().map(|(role, effect)| format!("{} {role}", effect.access())).collect();
    if roles.is_empty() { String::new() } else { format!(" ({})", roles.join(", ")) }
}
