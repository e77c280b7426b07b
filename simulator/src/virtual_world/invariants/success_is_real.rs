//! What the journal calls succeeded really happened: each action worked in the very attempt that it names, each check passed, and
//! each approval was given.

use std::collections::BTreeSet;

use lifeboat_core::{
    event::{Event, KnownBy, Outcome},
    input::Purpose,
    name::StepId,
    plan::{Section, Step, StepKind},
};

use super::Evidence;
use crate::virtual_world::{subject::planned, truth::changes};

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    for record in evidence.records {
        match &record.event {
            Event::StepSucceeded { step, attempt, known_by, .. } => succeeded(evidence, step, *attempt, *known_by)?,
            Event::ResolvedByHand { step, .. } => by_hand(evidence, step)?,
            _ => {}
        }
    }
    if evidence.outcome() == Some(Outcome::Succeeded) {
        // What is there for a failure has nothing to do in a run that succeeded.
        for step in evidence.plan.steps.iter().filter(|step| step.section != Section::OnFailure) {
            if !matches!(last_word(evidence, &step.id), Some(Event::StepSucceeded { .. })) {
                return Err(format!("the run succeeded without `{}`", step.id));
            }
        }
    }
    Ok(())
}

/// What the journal says last about how the step ended.
fn last_word<'a>(evidence: &Evidence<'a>, step: &StepId) -> Option<&'a Event> {
    let ends = |event: &&Event| {
        matches!(
            event,
            Event::StepSucceeded { .. }
                | Event::ResolvedByHand { .. }
                | Event::StepSkipped { .. }
                | Event::StepFailed { .. }
                | Event::StepCancelled { .. }
        )
    };
    evidence.records.iter().rev().map(|record| &record.event).filter(|event| event.step() == Some(step)).find(ends)
}

fn succeeded(evidence: &Evidence<'_>, step: &StepId, attempt: u32, known_by: KnownBy) -> Result<(), String> {
    if known_by == KnownBy::Items {
        return items(evidence, step);
    }
    let mut runs = evidence.truth.calls_of(step, Purpose::Run);
    let really = match known_by {
        KnownBy::Answer => runs.any(|call| call.attempt == attempt && call.answer == Some(Ok(()))),
        KnownBy::Observation | KnownBy::Operator => runs.any(|call| call.effect.is_some()),
        KnownBy::Approval => is_approved(evidence, step),
        KnownBy::Items => true,
    };
    if !really {
        return Err(format!("`{step}` is called succeeded, and attempt {attempt} did not"));
    }
    let changes = planned(evidence.plan, step).and_then(Step::action).is_some_and(|action| changes(action.effect));
    if changes && !evidence.truth.calls_of(step, Purpose::Run).any(|call| call.effect.is_some()) {
        return Err(format!("`{step}` is called succeeded, and nothing happened"));
    }
    Ok(())
}

/// Somebody really said yes; where it takes two, two different people did.
fn is_approved(evidence: &Evidence<'_>, step: &StepId) -> bool {
    let yes = evidence.truth.replies.iter().filter(|reply| reply.step == *step && reply.good);
    let by: BTreeSet<String> = yes.map(|reply| reply.who.to_string()).collect();
    let kind = planned(evidence.plan, step).map(|step| &step.kind);
    by.len() > usize::from(matches!(kind, Some(StepKind::Approve { four_eyes: true, .. })))
}

/// A list succeeded where each of its items did, or was skipped by its own condition.
fn items(evidence: &Evidence<'_>, step: &StepId) -> Result<(), String> {
    let count = evidence.events_of(step).find_map(|record| match &record.event {
        Event::FanOutBegan { items, .. } => Some(items.len()),
        _ => None,
    });
    let done = |item: &StepId| {
        evidence.events_of(item).any(|record| {
            matches!(
                record.event,
                Event::StepSucceeded { .. } | Event::ResolvedByHand { .. } | Event::StepSkipped { .. }
            )
        })
    };
    match (0..count.unwrap_or(0)).map(|number| step.item(number)).find(|item| !done(item)) {
        Some(item) => Err(format!("`{step}` is called succeeded, and `{item}` did not")),
        None => Ok(()),
    }
}

/// What a person said that they did was really done, and the check of it, where there is one, really passed.
fn by_hand(evidence: &Evidence<'_>, step: &StepId) -> Result<(), String> {
    if !evidence.truth.is_done_by_hand(step) {
        return Err(format!("`{step}` is called done by hand, and nobody did it"));
    }
    let verified = planned(evidence.plan, step).is_some_and(|planned| planned.verify().is_some());
    let passed = || evidence.truth.calls_of(step, Purpose::Verify).any(|call| call.answer == Some(Ok(())));
    if verified && !passed() {
        return Err(format!("`{step}` is called done by hand, and its check never passed"));
    }
    Ok(())
}
