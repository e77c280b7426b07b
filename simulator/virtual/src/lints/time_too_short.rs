//! The time of the whole step is over before the attempts that `retry` promises could be made, where each takes the time that it may
//! take. The mix plays that very case: all attempts of the step run out of time, one after the other.

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    event::Event,
    failure::FailureKind,
    name::StepId,
    plan::{Plan, Step},
};
use lifeboat_runtime::journal::Recorded;

use super::{Flawed, Scene};
use crate::subject::planned;

/// A step with a time for each attempt, one for all of them, and more attempts than one.
#[derive(Debug)]
pub(super) struct Timed {
    step: StepId,
    timeout: SignedDuration,
    limit: SignedDuration,
    attempts: u32,
}

pub(super) fn timed(plan: &Plan) -> Vec<Timed> {
    plan.steps.iter().filter(|step| tries_again_after_time_out(step)).filter_map(timed_step).collect()
}

fn timed_step(step: &Step) -> Option<Timed> {
    let (timeout, limit) = (step.timeout?, step.time_limit?);
    Some(Timed { step: step.id.clone(), timeout, limit, attempts: step.retry.attempts })
}

/// What ran out of time may have taken effect: only what can be repeated is tried again for it.
pub(crate) fn tries_again_after_time_out(step: &Step) -> bool {
    step.action().is_some_and(|action| action.idempotent)
        && step.retry.attempts > 1
        && step.retry.on.contains(&FailureKind::Transient)
        && step.timeout.is_some()
        && step.time_limit.is_some()
}

pub(super) fn look(scene: &Scene<'_>) -> Vec<Flawed> {
    // While no engine is there the time goes on, and nothing is tried.
    if scene.watch.timed.is_empty() || scene.played.lives.len() != 1 {
        return Vec::new();
    }
    scene.watch.timed.iter().filter_map(|timed| cut_short(scene, timed)).collect()
}

fn cut_short(scene: &Scene<'_>, timed: &Timed) -> Option<Flawed> {
    let records = &scene.played.records;
    let lost = records.iter().position(|record| {
        let Event::StepFailed { step, .. } = &record.event else { return false };
        planned(scene.plan(), step).is_some_and(|step| step.id == timed.step)
    })?;
    if records[..lost].iter().any(|record| ends_early(&record.event)) {
        return None;
    }
    let id = records[lost].event.step()?;
    let own: Vec<&Recorded> = records[..lost].iter().filter(|record| record.event.step() == Some(id)).collect();
    let made = attempts_out_of_time(timed, &own)?;
    (made < timed.attempts).then(|| (timed.step.clone(), why(timed, made)))
}

/// Whether steps are not tried again for another reason than their time.
fn ends_early(event: &Event) -> bool {
    matches!(event, Event::StepFailed { .. } | Event::AbortRequested { .. } | Event::RunPaused { .. })
}

/// How many attempts were made, where each ended at its own time-out, but for the last, which the time of the step may have ended.
fn attempts_out_of_time(timed: &Timed, own: &[&Recorded]) -> Option<u32> {
    let (mut made, mut whole): (u32, bool) = (0, true);
    let mut running: Option<(Timestamp, Timestamp)> = None;
    for record in own {
        match &record.event {
            Event::StepStarted { deadline, .. } if whole => {
                running = Some((record.at, (*deadline)?));
                made += 1;
            }
            Event::AttemptFailed { failure, .. } if failure.reason().code == "run-timed-out" => {
                let (began, deadline) = running.take().filter(|(_, deadline)| *deadline == record.at)?;
                whole = deadline.duration_since(began) == timed.timeout;
            }
            Event::RetryScheduled { .. } => {}
            _ => return None,
        }
    }
    (made > 0 && running.is_none()).then_some(made)
}

fn why(timed: &Timed, made: u32) -> String {
    let Timed { step, timeout, limit, attempts } = timed;
    let lost = match (made + 1, *attempts) {
        (first, last) if first == last => format!("attempt {last} of `{step}`"),
        (first, last) if first + 1 == last => format!("attempts {first} and {last} of `{step}`"),
        (first, last) => format!("attempts {first} to {last} of `{step}`"),
    };
    let (timeout, limit) = (brief(*timeout), brief(*limit));
    format!("{lost} can never begin if each takes its {timeout}: the whole step may take only {limit}")
}

fn brief(length: SignedDuration) -> String {
    format!("{length:#}").replace(' ', "")
}
