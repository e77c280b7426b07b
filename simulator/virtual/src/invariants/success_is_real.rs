//! What the journal calls succeeded really happened: each action worked in the very attempt that it names, each check passed, and
//! each approval was given.

use std::collections::BTreeSet;

use lifeboat_core::{
    event::{Event, KnownBy, Outcome, SkipReason},
    input::Purpose,
    name::StepId,
    plan::{OnFailure, Section, Step, StepKind},
};

use super::Evidence;
use crate::{
    subject::planned,
    truth::{CallMade, changes},
};

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    for record in evidence.records {
        match &record.event {
            Event::StepSucceeded { step, attempt, known_by, .. } => succeeded(evidence, step, *attempt, *known_by)?,
            Event::ResolvedByHand { step, .. } => by_hand(evidence, step, record.seq)?,
            _ => {}
        }
    }
    match evidence.outcome() {
        // What is there for a failure has nothing to do in a run that succeeded.
        Some(Outcome::Succeeded) => every_step(evidence, |step| step.section != Section::OnFailure, is_success),
        Some(Outcome::SucceededWithExceptions) => {
            every_step(evidence, |step| step.section == Section::Steps, is_success_or_exception)
        }
        _ => Ok(()),
    }
}

/// Each of these steps ended as it may where the run succeeded.
fn every_step(
    evidence: &Evidence<'_>,
    which: impl Fn(&Step) -> bool,
    may: impl Fn(&Step, &Event) -> bool,
) -> Result<(), String> {
    let mut steps = evidence.plan.steps.iter().filter(|step| which(step));
    match steps.find(|step| !last_word(evidence, &step.id).is_some_and(|word| may(step, word))) {
        Some(step) => Err(format!("the run succeeded without `{}`", step.id)),
        None => Ok(()),
    }
}

/// What is done at the end of a run may have been done when it ended before, and a question need not arise.
fn is_success(step: &Step, word: &Event) -> bool {
    if matches!(word, Event::StepSkipped { reason: SkipReason::NotAsked, .. }) {
        return matches!(step.kind, StepKind::Approve { .. } | StepKind::Manual { .. });
    }
    let before = matches!(word, Event::StepSkipped { reason: SkipReason::DoneBefore, .. });
    let done = matches!(word, Event::StepSucceeded { known_by, .. } if *known_by != KnownBy::NoItems);
    done || before && step.section == Section::Finally
}

/// Exceptions are what somebody did in the step's stead, what was left out, and failures that the runbook says are none.
fn is_success_or_exception(step: &Step, word: &Event) -> bool {
    match word {
        Event::StepCancelled { .. } => false,
        Event::StepFailed { .. } => step.on_failure == OnFailure::Continue,
        _ => true,
    }
}

/// What the journal says last about how the step ended; nothing where it was to be done once more after that.
fn last_word<'a>(evidence: &Evidence<'a>, step: &StepId) -> Option<&'a Event> {
    let ends = |event: &Event| {
        matches!(
            event,
            Event::StepSucceeded { .. }
                | Event::ResolvedByHand { .. }
                | Event::StepSkipped { .. }
                | Event::StepFailed { .. }
                | Event::StepCancelled { .. }
        )
    };
    let about = |event: &&Event| match event {
        Event::StepsReopened { steps, .. } => steps.contains(step),
        event => event.step() == Some(step) && ends(event),
    };
    let last = evidence.records.iter().rev().map(|record| &record.event).find(about);
    last.filter(|event| ends(event))
}

fn succeeded(evidence: &Evidence<'_>, step: &StepId, attempt: u32, known_by: KnownBy) -> Result<(), String> {
    let changes = planned(evidence.plan, step).and_then(Step::action).is_some_and(|action| changes(action.effect));
    let mut runs = evidence.truth.calls_of(step, Purpose::Run);
    let really = match known_by {
        KnownBy::Items | KnownBy::NoItems => return items(evidence, step),
        KnownBy::Approval => is_approved(evidence, step),
        KnownBy::Answer => {
            let worked = |call: &CallMade| call.answer == Some(Ok(())) && (call.effect.is_some() || !changes);
            runs.any(|call| call.attempt == attempt && worked(call))
        }
        // What is found may be of an earlier attempt, of which nobody knew. What comes later was not found.
        KnownBy::Observation | KnownBy::Operator => runs.any(|call| call.attempt <= attempt && call.effect.is_some()),
    };
    if really {
        Ok(())
    } else {
        Err(format!("`{step}` is reported as succeeded, but attempt {attempt} did not succeed"))
    }
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
        Some(item) => Err(format!("`{step}` is reported as succeeded, but `{item}` did not succeed")),
        None => Ok(()),
    }
}

/// What a person said that they did was really done, and the check of it, where there is one, passed when they had handed it in:
/// what passed before that says nothing of it.
fn by_hand(evidence: &Evidence<'_>, step: &StepId, seq: u64) -> Result<(), String> {
    if !evidence.truth.is_done_by_hand(step) {
        return Err(format!("`{step}` is reported as done by hand, but nobody did it"));
    }
    let verified = planned(evidence.plan, step).is_some_and(|planned| planned.verify().is_some());
    let reported = evidence.events_of(step).take_while(|record| record.seq < seq);
    let reported = reported.filter(|record| matches!(record.event, Event::HandsReported { .. })).last();
    let passed = |call: &CallMade| {
        call.answer == Some(Ok(())) && reported.is_some_and(|reported| (reported.seq..seq).contains(&call.durable))
    };
    if verified && !evidence.truth.calls_of(step, Purpose::Verify).any(passed) {
        return Err(format!("`{step}` is reported as done by hand, but its check did not pass"));
    }
    Ok(())
}
