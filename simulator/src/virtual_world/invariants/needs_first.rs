//! No step begins before every step that it needs has come to a good end, and nobody deals with one before they are over.

use std::collections::BTreeMap;

use lifeboat_core::{
    event::{Event, SkipReason},
    name::StepId,
    plan::Section,
};

use super::Evidence;
use crate::virtual_world::subject::planned;

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
            Event::StepSkipped { step, reason } => drop(met.insert(step, *reason == SkipReason::WhenFalse)),
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
        Some(need) => Err(format!("`{id}` was dealt with although `{need}`, which it needs, was not over")),
        None => Ok(()),
    }
}

fn needs_are_met(evidence: &Evidence<'_>, id: &StepId, met: &BTreeMap<&StepId, bool>) -> Result<(), String> {
    let Some(step) = planned(evidence.plan, id) else { return Ok(()) };
    // A handler only waits until its needs are over: people are told, whatever else went wrong.
    let handler = step.section != Section::Steps;
    let needs = step.needs.iter().map(|need| &evidence.plan.steps[*need].id);
    let is_met = |need: &StepId| met.get(need).is_some_and(|met| *met || handler);
    match needs.into_iter().find(|need| !is_met(need)) {
        Some(need) => Err(format!("`{id}` began although `{need}`, which it needs, had not come to a good end")),
        None => Ok(()),
    }
}
