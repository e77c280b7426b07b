//! Something was destroyed, the run failed after that, and nobody is told of it.
//!
//! Where the channel to people itself failed the runbook could not help it; and who aborts a run knows that it ended.

use lifeboat_core::{
    event::{Event, Outcome},
    input::Purpose,
    name::StepId,
    plan::{Plan, Step},
};
use lifeboat_runtime::journal::Recorded;

use super::{Flawed, Scene, destroyed, list, reaches_people};
use crate::{subject::planned, truth::CallMade};

pub(super) fn look(scene: &Scene<'_>) -> Vec<Flawed> {
    let ended_early = matches!(scene.outcome(), Some(Outcome::Failed | Outcome::RolledBack));
    if !scene.watch.destroys || !ended_early {
        return Vec::new();
    }
    untold(scene).into_iter().collect()
}

fn untold(scene: &Scene<'_>) -> Option<Flawed> {
    let (plan, truth) = (scene.plan(), &scene.played.truth);
    let failed = failure(scene)?;
    let mut telling = truth.calls.iter().filter(|call| planned(plan, &call.step).is_some_and(|step| tells(plan, step)));
    if telling.any(|call| is_after(call, failed.seq) || call.answer != Some(Ok(()))) {
        return None;
    }
    let step = truth.calls.iter().filter(|call| call.purpose == Purpose::Run && !is_after(call, failed.seq)).find_map(
        |call| {
            let step = planned(plan, &call.step).filter(|step| destroyed(step).next().is_some())?;
            truth.standing_effect(&call.step).map(|_| step)
        },
    )?;
    Some((step.id.clone(), why(step, failed.event.step()?)))
}

/// The failure that ended the run; `None` where a person ended it.
fn failure<'a>(scene: &Scene<'a>) -> Option<&'a Recorded> {
    let records = &scene.played.records;
    let cause = scene.played.run.cause.as_ref()?.step.as_ref()?;
    let aborted = records.iter().any(|record| matches!(record.event, Event::AbortRequested { .. }));
    let is_cause = |record: &&Recorded| matches!(&record.event, Event::StepFailed { step, .. } if step == cause);
    records.iter().rev().find(is_cause).filter(|_| !aborted)
}

/// Whether the call began when that record was on disk.
fn is_after(call: &CallMade, seq: u64) -> bool {
    call.durable >= seq
}

fn tells(plan: &Plan, step: &Step) -> bool {
    step.action().is_some_and(|action| action.grants.keys().any(|role| reaches_people(plan, role)))
}

fn why(step: &Step, failed: &StepId) -> String {
    let roles = list(destroyed(step));
    if step.id == *failed {
        return format!("`{}` destroyed something on {roles} and then failed, and nobody is told", step.id);
    }
    format!("`{}` destroyed something on {roles}, then `{failed}` failed, and nobody is told", step.id)
}
