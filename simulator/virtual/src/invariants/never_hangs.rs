//! The run comes to its end, or waits for a person who was asked. It never hangs, and no engine falls over a case.

use lifeboat_core::{event::Event, name::StepId};

use super::Evidence;
use crate::lives::LifeEnd;

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    for (life, end) in evidence.lives.iter().enumerate() {
        match end {
            LifeEnd::Hung(why) => return Err(format!("the run hangs: {why}")),
            LifeEnd::Defect(what) => return Err(format!("the engine found a bug in itself: {what}")),
            LifeEnd::Waiting(steps) if !is_paused(evidence, life) => somebody_is_asked(evidence, life, steps)?,
            _ => {}
        }
    }
    match evidence.lives.last() {
        Some(LifeEnd::Finished(_)) if evidence.outcome().is_some() => Ok(()),
        Some(LifeEnd::Finished(_)) => {
            Err("the engine reports that the run is over, but its journal does not".to_owned())
        }
        // What damaged journals mean is another rule's business.
        Some(LifeEnd::Damaged(_)) => Ok(()),
        _ => Err("the run does not end".to_owned()),
    }
}

/// What stood in the journal when that life ended, the last of it first.
fn before_the_end<'a>(evidence: &Evidence<'a>, life: usize) -> impl Iterator<Item = &'a Event> {
    let records = evidence.truth.left.get(life).and_then(|count| usize::try_from(*count).ok()).unwrap_or(0);
    evidence.records.iter().take(records).rev().map(|record| &record.event)
}

/// Whether the run was paused when that life ended. Who ends a run early ends its pause.
fn is_paused(evidence: &Evidence<'_>, life: usize) -> bool {
    let about = |event: &&Event| {
        matches!(event, Event::RunPaused { .. } | Event::RunUnpaused { .. } | Event::AbortRequested { .. })
    };
    matches!(before_the_end(evidence, life).find(about), Some(Event::RunPaused { .. }))
}

/// Each step for which the run waits has asked somebody, and had no answer that was enough.
fn somebody_is_asked(evidence: &Evidence<'_>, life: usize, steps: &[StepId]) -> Result<(), String> {
    let stands = |step: &StepId| {
        let last = before_the_end(evidence, life).find(|event| event.step() == Some(step));
        matches!(
            last,
            Some(
                Event::ApprovalRequested { .. }
                    | Event::HandsRequested { .. }
                    | Event::OperatorAsked { .. }
                    // Where it takes two, the second one is asked.
                    | Event::ApprovalAnswered { approved: true, .. }
            )
        )
    };
    if steps.is_empty() {
        return Err("the run waits, but nobody was asked".to_owned());
    }
    match steps.iter().find(|step| !stands(step)) {
        Some(step) => Err(format!("the run waits for an answer about `{step}`, but nobody was asked")),
        None => Ok(()),
    }
}
