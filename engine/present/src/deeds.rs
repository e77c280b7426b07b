//! What people did in a run, as other programs read it: one entry for each record of the journal that a person caused.

use jiff::Timestamp;
use lifeboat_core::{
    event::{Event, OperatorAnswer, Person, SkipReason},
    name::StepId,
};
use serde::Serialize;

/// What a person did.
#[derive(Debug, Serialize)]
pub struct Deed<'a> {
    at: Timestamp,
    who: &'a Person,
    did: &'static str,
    /// The steps that it was about; none where it was about the run.
    steps: Vec<&'a StepId>,
    /// The reason or the comment.
    why: Option<&'a str>,
}

/// Everything that people did, in order, given the events with when they were recorded.
pub fn deeds<'a>(events: impl IntoIterator<Item = (Timestamp, &'a Event)>) -> Vec<Deed<'a>> {
    events.into_iter().filter_map(|(at, event)| deed(at, event)).collect()
}

fn deed(at: Timestamp, event: &Event) -> Option<Deed<'_>> {
    let steps = match event {
        Event::StepsReopened { steps, .. } => steps.iter().collect(),
        _ => event.step().into_iter().collect(),
    };
    Some(Deed { at, who: event.who()?, did: did(event)?, steps, why: why(event) })
}

fn did(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::ApprovalAnswered { approved: true, .. } => "approved",
        Event::ApprovalAnswered { .. } => "rejected",
        Event::HandsReported { .. } => "reported_as_done",
        Event::ResolvedByHand { .. } => "resolved",
        Event::OperatorAnswered { answer: OperatorAnswer::RunAgain, .. } => "decided_to_run_again",
        Event::OperatorAnswered { answer: OperatorAnswer::ItHappened { .. }, .. } => "decided_that_it_happened",
        Event::OperatorAnswered { answer: OperatorAnswer::GiveUp, .. } => "decided_to_give_up",
        Event::StepSkipped { .. } => "skipped",
        Event::SkipScheduled { .. } => "will_be_skipped",
        Event::RetryRequested { .. } => "retried",
        Event::StepsReopened { .. } => "reopened",
        Event::RunPaused { .. } => "paused",
        Event::RunUnpaused { .. } => "unpaused",
        Event::OnsetStated { .. } => "stated_the_onset",
        Event::AbortRequested { undo: false, .. } => "aborted",
        Event::AbortRequested { .. } => "aborted_with_undo",
        _ => return None,
    })
}

fn why(event: &Event) -> Option<&str> {
    match event {
        Event::ApprovalAnswered { comment: why, .. }
        | Event::HandsReported { reason: why, .. }
        | Event::ResolvedByHand { reason: why, .. }
        | Event::OperatorAnswered { reason: why, .. }
        | Event::RetryRequested { reason: why, .. }
        | Event::StepsReopened { reason: why, .. }
        | Event::RunPaused { reason: why, .. }
        | Event::RunUnpaused { reason: why, .. } => why.as_deref(),
        Event::SkipScheduled { reason, .. }
        | Event::StepSkipped { reason: SkipReason::ByOperator { reason, .. }, .. }
        | Event::AbortRequested { reason, .. } => Some(reason),
        _ => None,
    }
}
