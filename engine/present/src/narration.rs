//! What each event means to a person: one line, the same words in every view.

use jiff::Timestamp;
use lifeboat_core::{
    event::{Event, KnownBy, Mode, OperatorAnswer, RunStarted},
    failure::Failure,
    name::StepId,
    run::Run,
    text,
};

use crate::{
    Tone, elapsed,
    values::values,
    words::{self, people, person},
};

/// Of a line: the journal has the whole.
const TEXT_BYTES_MAX: usize = 1 << 16;

/// A line about one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The step it is about.
    pub step: Option<StepId>,
    /// How it is meant.
    pub tone: Tone,
    /// The line, without the step's name.
    pub text: String,
}

/// The line for an event, given when it was recorded and the state after it.
pub fn narrate(event: &Event, at: Timestamp, run: &Run) -> Line {
    let (tone, text) = step_line(event, at, run)
        .or_else(|| people_line(event))
        .or_else(|| undo_line(event))
        .unwrap_or_else(|| run_line(event, at, run));
    // An engine before this one may have journalled what a plugin said as it was.
    Line { step: event.step().cloned(), tone, text: text::plain(&text, TEXT_BYTES_MAX) }
}

/// Whether a person is asked here.
pub fn asks(event: &Event) -> bool {
    matches!(event, Event::ApprovalRequested { .. } | Event::HandsRequested { .. } | Event::OperatorAsked { .. })
}

fn step_line(event: &Event, at: Timestamp, run: &Run) -> Option<(Tone, String)> {
    Some(match event {
        Event::StepStarted { attempt: 1, .. } => (Tone::Plain, "started".to_owned()),
        Event::StepStarted { attempt, .. } => (Tone::Plain, format!("attempt {attempt} started")),
        Event::FanOutBegan { items, .. } => (Tone::Plain, format!("started, for {}", counted(items.len(), "item"))),
        Event::StepSucceeded { step, summary, known_by, .. } => {
            let took = took(run, step, at).map(|took| format!(" in {took}")).unwrap_or_default();
            let how = match known_by {
                KnownBy::Answer | KnownBy::Approval | KnownBy::Items | KnownBy::NoItems => "",
                KnownBy::Observation => " (the interrupted attempt had taken effect)",
                KnownBy::Operator => " (according to the operator)",
            };
            let summary = if summary.is_empty() { String::new() } else { format!(": {summary}") };
            let (tone, verb) = match known_by {
                KnownBy::NoItems => (Tone::Warn, "had nothing to do"),
                _ if is_dry(run) => (Tone::Good, "tried"),
                _ => (Tone::Good, "succeeded"),
            };
            (tone, format!("{verb}{took}{how}{summary}"))
        }
        Event::AttemptFailed { attempt, failure, .. } => {
            (Tone::Warn, format!("attempt {attempt} failed: {}", words::failure(failure)))
        }
        Event::RetryScheduled { until, .. } => {
            (Tone::Plain, format!("next attempt at {} UTC", elapsed::time_of_day(*until)))
        }
        Event::StepFailed { step, failure } if was_told(run, step, failure) => (Tone::Bad, "failed".to_owned()),
        Event::StepFailed { failure, .. } => (Tone::Bad, format!("failed: {}", words::failure(failure))),
        Event::StepSkipped { reason, .. } => (Tone::Warn, words::skipped(reason)),
        Event::AttemptInterrupted { attempt, .. } => {
            (Tone::Warn, format!("attempt {attempt} was interrupted; its effect is unknown"))
        }
        Event::ObservationStarted { attempt, .. } => {
            (Tone::Plain, format!("checking whether attempt {attempt} took effect"))
        }
        Event::ObservedNotDone { attempt, .. } => (Tone::Plain, format!("attempt {attempt} did not take effect")),
        Event::StepCancelled { .. } => (Tone::Warn, "cancelled".to_owned()),
        _ => return None,
    })
}

fn people_line(event: &Event) -> Option<(Tone, String)> {
    Some(match event {
        Event::ApprovalRequested { by, message, .. } => {
            (Tone::Warn, format!("waits for approval by {}: {message}", people(by)))
        }
        Event::ApprovalAnswered { who, approved, comment, .. } => {
            let comment = comment.as_deref().map(|comment| format!(": {comment}")).unwrap_or_default();
            let (tone, verb) = if *approved { (Tone::Good, "approved") } else { (Tone::Bad, "rejected") };
            (tone, format!("{verb} by {}{comment}", person(who)))
        }
        Event::HandsRequested { instruction, .. } => (Tone::Warn, format!("waits for manual work: {instruction}")),
        Event::HandsReported { who, reason, .. } => {
            (Tone::Plain, format!("reported as done by {}{}", person(who), why(reason.as_deref())))
        }
        Event::ResolvedByHand { who, evidence, reason, .. } => {
            let shown = values(evidence);
            (Tone::Good, format!("done by hand by {}{}{shown}", person(who), why(reason.as_deref())))
        }
        Event::SkipScheduled { who, reason, .. } => {
            (Tone::Warn, format!("will be skipped when its turn comes, requested by {}: {reason}", person(who)))
        }
        Event::RetryRequested { who, reason, .. } => {
            (Tone::Plain, format!("retried now, requested by {}{}", person(who), why(reason.as_deref())))
        }
        Event::OperatorAsked { reason, .. } => (Tone::Warn, format!("waits for a decision: {}", reason.message)),
        Event::OperatorAnswered { who, answer, reason, .. } => {
            let said = match answer {
                OperatorAnswer::RunAgain => "run it again",
                OperatorAnswer::ItHappened { .. } => "it took effect",
                OperatorAnswer::GiveUp => "give it up",
            };
            (Tone::Plain, format!("decided by {}: {said}{}", person(who), why(reason.as_deref())))
        }
        _ => return None,
    })
}

fn undo_line(event: &Event) -> Option<(Tone, String)> {
    Some(match event {
        Event::UndoStarted { attempt: 1, .. } => (Tone::Plain, "is being undone".to_owned()),
        Event::UndoStarted { attempt, .. } => (Tone::Plain, format!("is being undone, attempt {attempt}")),
        Event::StepUndone { .. } => (Tone::Good, "undone".to_owned()),
        Event::UndoFailed { failure, .. } => (Tone::Bad, format!("could not be undone: {}", words::failure(failure))),
        _ => return None,
    })
}

fn run_line(event: &Event, at: Timestamp, run: &Run) -> (Tone, String) {
    match event {
        Event::RunStarted(started) => (Tone::Plain, started_text(started)),
        Event::AbortRequested { who, reason, undo } => {
            let back = if *undo { "; what was done will be undone" } else { "" };
            (Tone::Warn, format!("ended early by {}: {reason}{back}", person(who)))
        }
        Event::RunPaused { who, reason } => {
            (Tone::Warn, format!("paused by {}{}", person(who), why(reason.as_deref())))
        }
        Event::OnsetStated { onset, who } => (
            Tone::Plain,
            format!("users noticed at {} UTC, according to {}", elapsed::date_and_time(*onset), person(who)),
        ),
        Event::RunUnpaused { who, reason } => {
            (Tone::Plain, format!("resumed by {}{}", person(who), why(reason.as_deref())))
        }
        Event::StepsReopened { steps, who, reason } => {
            let names: Vec<&str> = steps.iter().map(StepId::as_str).collect();
            let text =
                format!("repeated, requested by {}: {}{}", person(who), names.join(", "), why(reason.as_deref()));
            (Tone::Warn, text)
        }
        Event::HandlersBegan { ending } => {
            (words::outcome_tone(*ending), format!("the recovery {}; the handlers start", words::outcome(*ending)))
        }
        Event::UndoBegan => (Tone::Warn, "undoing what was done, last first".to_owned()),
        Event::RunFinished { outcome } => {
            let took = run.started.as_ref().map(|(start, _)| format!(" after {}", elapsed::between(*start, at)));
            let name = run.started.as_ref().map(|(_, facts)| format!("{} ", facts.run)).unwrap_or_default();
            (words::outcome_tone(*outcome), format!("{name}{}{}", words::outcome(*outcome), took.unwrap_or_default()))
        }
        other => (Tone::Plain, format!("{other:?}")),
    }
}

/// A reason, where one was given.
fn why(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn started_text(started: &RunStarted) -> String {
    let dry = match started.mode {
        Mode::Real => "",
        Mode::DryRun => ", a dry-run: nothing is changed",
    };
    format!("{} started: {} ({}){dry}", started.run, started.runbook.name, started.runbook.id)
}

fn is_dry(run: &Run) -> bool {
    run.started.as_ref().is_some_and(|(_, started)| started.mode == Mode::DryRun)
}

/// Whether the line of the last attempt said the same. The engine's own verdicts (`run-…`) may be other than that.
fn was_told(run: &Run, step: &StepId, failure: &Failure) -> bool {
    run.find(step).is_some_and(|step| step.failures > 0) && !failure.reason().code.starts_with("run-")
}

fn took(run: &Run, step: &StepId, at: Timestamp) -> Option<String> {
    Some(elapsed::between(run.find(step)?.started?, at))
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use super::*;

    fn line(event: Value) -> String {
        let event: Event = serde_json::from_value(event).unwrap();
        let line = narrate(&event, "2026-11-21T12:03:04Z".parse().unwrap(), &Run::default());
        format!("{:?} {}: {}", line.tone, line.step.map_or("-".to_owned(), |step| step.to_string()), line.text)
    }

    #[test]
    fn every_kind_of_event_reads_as_a_sentence() {
        let user = json!({"kind": "user", "name": "ada"});
        let failure = json!({"kind": "transient", "code": "pg-connection", "message": "the server does not answer"});
        let step = |event: &str, more: Value| {
            let mut value = json!({"event": event, "step": "restore"});
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            value
        };
        let lines = [
            step("step_started", json!({"attempt": 1, "parameters": null, "deadline": null})),
            step("step_started", json!({"attempt": 2, "parameters": null, "deadline": null})),
            step("step_succeeded", json!({"attempt": 1, "outputs": {}, "summary": "12 rows", "known_by": "answer"})),
            step("step_succeeded", json!({"attempt": 1, "outputs": {}, "summary": "", "known_by": "observation"})),
            step("attempt_failed", json!({"attempt": 1, "failure": failure})),
            step("retry_scheduled", json!({"until": "2026-11-21T12:03:14Z"})),
            step("step_failed", json!({"failure": failure})),
            step("step_skipped", json!({"reason": {"why": "when_false"}})),
            step("step_skipped", json!({"reason": {"why": "need_not_met", "step": "find"}})),
            step("step_skipped", json!({"reason": {"why": "would_run", "parameters": {"xid": 7}}})),
            step("step_skipped", json!({"reason": {"why": "would_ask", "message": "Merge?"}})),
            step(
                "step_skipped",
                json!({"reason": {"why": "not_known", "parameters": {}, "unknown": ["steps.find.outputs.xid"]}}),
            ),
            step("step_skipped", json!({"reason": {"why": "failed_behind", "step": "find", "failure": failure}})),
            step("attempt_interrupted", json!({"attempt": 1})),
            step("observation_started", json!({"attempt": 1})),
            step("observed_not_done", json!({"attempt": 1})),
            step("approval_requested", json!({"by": ["dba", "lead"], "message": "Merge?"})),
            step("approval_answered", json!({"who": user, "approved": true, "comment": null})),
            step("approval_answered", json!({"who": user, "approved": false, "comment": "too many rows"})),
            step("hands_requested", json!({"instruction": "Point DNS back", "evidence": {}})),
            step("hands_reported", json!({"who": user, "evidence": {}})),
            step("resolved_by_hand", json!({"who": user, "evidence": {}})),
            step("operator_asked", json!({"reason": {"code": "run-unclear", "message": "Nobody can tell."}})),
            step("operator_answered", json!({"who": user, "answer": {"say": "run_again"}})),
            step("step_cancelled", json!({})),
            step("undo_started", json!({"attempt": 1, "parameters": null, "deadline": null})),
            step("step_undone", json!({})),
            step("undo_failed", json!({"failure": failure})),
            step("skip_scheduled", json!({"who": user, "reason": "the channel is down"})),
            step(
                "step_skipped",
                json!({"reason": {"why": "by_operator", "who": user, "reason": "the channel is down"}}),
            ),
            step("retry_requested", json!({"who": user})),
            step("resolved_by_hand", json!({"who": user, "evidence": {"ticket": "OPS-12"}, "reason": "while waiting"})),
            json!({"event": "steps_reopened", "steps": ["restore", "merge"], "who": user, "reason": "wrong table"}),
            json!({"event": "run_paused", "who": user, "reason": "looking around"}),
            json!({"event": "run_unpaused", "who": user}),
            json!({"event": "abort_requested", "who": user, "reason": "wrong server", "undo": true}),
            json!({"event": "abort_requested", "who": user, "reason": "wrong server"}),
            json!({"event": "undo_began"}),
            json!({"event": "run_finished", "outcome": "succeeded_with_exceptions"}),
            json!({"event": "run_finished", "outcome": "dry_run"}),
        ]
        .map(line);
        assert_snapshot!(lines.join("\n"));
    }
}
