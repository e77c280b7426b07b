//! No step begins before every step that it needs has come to a good end, and nobody deals with one before they are over.

use std::collections::BTreeMap;

use lifeboat_core::{
    event::{Event, SkipReason},
    name::StepId,
    plan::{Section, Step, StepKind},
};

use super::Evidence;
use crate::subject::planned;

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    let mut met: BTreeMap<&StepId, bool> = BTreeMap::new();
    for record in evidence.records {
        match &record.event {
            Event::StepStarted { step, .. }
            | Event::ApprovalRequested { step, .. }
            | Event::HandsRequested { step, .. }
            | Event::FanOutBegan { step, .. } => needs_are_met(evidence, step, &met)?,
            Event::StepSkipped { step, reason: SkipReason::ByOperator { .. } }
            | Event::ResolvedByHand { step, reason: Some(_), .. } => {
                needs_are_over(evidence, step, &met)?;
                met.insert(step, true);
            }
            Event::StepSucceeded { step, .. } | Event::ResolvedByHand { step, .. } => drop(met.insert(step, true)),
            Event::StepSkipped { step, reason } => {
                met.insert(
                    step,
                    matches!(reason, SkipReason::WhenFalse | SkipReason::NotAsked | SkipReason::DoneBefore),
                );
            }
            // What is done once more has to be done before what needs it.
            Event::StepsReopened { steps, .. } => met.retain(|step, _| !steps.contains(step)),
            Event::StepFailed { step, .. } | Event::StepCancelled { step } => drop(met.insert(step, false)),
            _ => {}
        }
    }
    Ok(())
}

/// A step that somebody leaves out, or does by hand, holds its place: what needs it must not overtake what it needs.
fn needs_are_over(evidence: &Evidence<'_>, id: &StepId, met: &BTreeMap<&StepId, bool>) -> Result<(), String> {
    let Some(step) = planned(evidence.plan, id) else { return Ok(()) };
    let needs = step.needs.iter().map(|need| &evidence.plan.steps[*need].id);
    match needs.into_iter().find(|need| !met.contains_key(need)) {
        Some(need) => Err(format!("`{id}` was decided before `{need}`, which it needs, was over")),
        None => Ok(()),
    }
}

fn needs_are_met(evidence: &Evidence<'_>, id: &StepId, met: &BTreeMap<&StepId, bool>) -> Result<(), String> {
    let Some(step) = planned(evidence.plan, id) else { return Ok(()) };
    let needs = step.needs.iter().map(|need| &evidence.plan.steps[*need]);
    let is_met = |need: &Step| met.get(&need.id).is_some_and(|met| *met || only_waits_for(step, need));
    match needs.into_iter().find(|need| !is_met(need)) {
        Some(need) => Err(format!("`{id}` began although `{}`, which it needs, had not succeeded", need.id)),
        None => Ok(()),
    }
}

/// A handler only waits until its needs are over: people are told, whatever else went wrong. But a question needs a yes, and what a
/// handler calls has an order of its own.
fn only_waits_for(step: &Step, need: &Step) -> bool {
    let call = |step: &Step| step.id.as_str().split_once('/').map(|(call, _)| call.to_owned());
    let same_call = call(step).is_some() && call(step) == call(need);
    step.section != Section::Steps && !same_call && !matches!(need.kind, StepKind::Approve { .. })
}
