//! What follows from an answer: another attempt, the end of the step, or a question.

use super::{Draft, OBSERVATIONS_MAX, backoff, begin, dry_run, interrupted, undo};
use crate::{
    event::{Event, KnownBy, OperatorAnswer, Person, SkipReason},
    failure::{Failure, FailureKind, Reason},
    plan::{Invocation, Retry, StepKind},
    run::{Attempt, Next, Settling, Slot},
};

pub(super) fn settle(draft: &mut Draft<'_>, index: Slot, known: Settling) {
    match known {
        Settling::AttemptFailed { attempt, failure, next } => match next {
            Next::Run => run_failed(draft, index, &attempt, failure),
            Next::Observe(_) => observation_failed(draft, index, failure),
            Next::Verify { .. } => verification_failed(draft, index, failure),
            Next::Undo { .. } => undo::failed(draft, index, failure),
        },
        Settling::Approval { who, approved, comment } => approval(draft, index, &who, approved, comment),
        Settling::Hands { who, evidence } => hands(draft, index, who, evidence),
        Settling::Decision { attempt, who, answer } => decision(draft, index, &attempt, &who, answer),
    }
}

fn run_failed(draft: &mut Draft<'_>, index: Slot, attempt: &Attempt, failure: Failure) {
    let Some(action) = draft.planned(index).action() else { return };
    if let Some(reason) = dry_run::held_back(draft, &attempt.parameters, &failure) {
        draft.emit(Event::StepSkipped { step: draft.id(index), reason });
        return;
    }
    // A dry-run has changed nothing, so its effect need not be found out.
    if failure.kind() == FailureKind::Interrupted && !action.idempotent && !draft.is_dry_run() {
        return interrupted::find_out(draft, index, attempt, action, failure.reason().clone());
    }
    if schedule(draft, index, action, &failure) {
        return;
    }
    let step = draft.id(index);
    draft.emit(match dry_run::left_out_before(draft, index, &failure) {
        Some(before) => {
            Event::StepSkipped { step, reason: SkipReason::FailedBehind { step: draft.id(before), failure } }
        }
        None => Event::StepFailed { step, failure },
    });
}

/// Schedules another attempt where the step's `retry` has one left for this kind of failure.
fn schedule(draft: &mut Draft<'_>, index: Slot, action: &Invocation, failure: &Failure) -> bool {
    let retry = &draft.planned(index).retry;
    let failures = draft.step(index).failures;
    let until = draft.after(backoff::wait(retry, failures));
    let worth = draft.goes_on() && failures < retry.attempts && is_listed(retry, action, failure.kind());
    let again = worth && draft.has_time(index, until);
    if again {
        draft.emit(Event::RetryScheduled { step: draft.id(index), until });
    }
    again
}

/// An interruption of something that can be repeated is as good as a passing failure.
fn is_listed(retry: &Retry, action: &Invocation, kind: FailureKind) -> bool {
    retry.on.contains(&kind)
        || (kind == FailureKind::Interrupted && action.idempotent && retry.on.contains(&FailureKind::Transient))
}

fn observation_failed(draft: &mut Draft<'_>, index: Slot, failure: Failure) {
    let passing = matches!(failure.kind(), FailureKind::Transient | FailureKind::Interrupted);
    let times = draft.step(index).observations;
    let step = draft.id(index);
    if passing && times < OBSERVATIONS_MAX {
        let wait = backoff::wait(&Retry::default(), times);
        draft.emit(Event::RetryScheduled { step, until: draft.after(wait) });
    } else {
        draft.emit(Event::OperatorAsked { step, reason: failure.reason().clone() });
    }
}

fn verification_failed(draft: &mut Draft<'_>, index: Slot, failure: Failure) {
    let Some(action) = draft.planned(index).verify() else { return };
    if schedule(draft, index, action, &failure) {
        return;
    }
    if draft.goes_on() {
        begin::ask_hands(draft, index, Some(&failure.reason().message));
    } else {
        draft.emit(Event::StepFailed { step: draft.id(index), failure });
    }
}

fn approval(draft: &mut Draft<'_>, index: Slot, who: &Person, approved: bool, comment: Option<String>) {
    let step = draft.id(index);
    let comment = comment.map(|comment| format!(": {comment}")).unwrap_or_default();
    draft.emit(if approved {
        Event::StepSucceeded {
            step,
            attempt: 0,
            outputs: serde_json::Value::Object(serde_json::Map::new()),
            summary: format!("approved by {who}{comment}"),
            known_by: KnownBy::Approval,
        }
    } else {
        let reason = Reason::new("run-rejected", format!("rejected by {who}{comment}"));
        Event::StepFailed { step, failure: Failure::Denied(reason) }
    });
}

fn hands(draft: &mut Draft<'_>, index: Slot, who: Person, evidence: serde_json::Value) {
    let StepKind::Manual { evidence: wanted, verify, .. } = &draft.planned(index).kind else { return };
    if let Some(problem) = evidence_problem(wanted, &evidence) {
        return begin::ask_hands(draft, index, Some(&problem));
    }
    match verify {
        Some(action) => begin::start(draft, index, action, Some(&evidence)),
        None => {
            draft.emit(Event::ResolvedByHand { step: draft.id(index), who, evidence, reason: None });
        }
    }
}

pub(super) fn evidence_problem(
    wanted: &std::collections::BTreeMap<String, crate::types::Type>,
    evidence: &serde_json::Value,
) -> Option<String> {
    wanted.iter().find_map(|(name, ty)| match evidence.get(name) {
        None => Some(format!("`{name}` is missing")),
        Some(value) => ty.check(value).err().map(|mismatch| format!("`{name}`: {mismatch}")),
    })
}

fn decision(draft: &mut Draft<'_>, index: Slot, attempt: &Attempt, who: &Person, answer: OperatorAnswer) {
    let step = draft.id(index);
    draft.emit(match answer {
        OperatorAnswer::ItHappened { outputs } => Event::StepSucceeded {
            step,
            attempt: attempt.number,
            outputs,
            summary: format!("took effect, according to {who}"),
            known_by: KnownBy::Operator,
        },
        // `run again` leads straight to another attempt; it never waits here.
        OperatorAnswer::GiveUp | OperatorAnswer::RunAgain => {
            let reason = Reason::new("run-given-up", format!("{who} gave the step up after an interrupted attempt"));
            Event::StepFailed { step, failure: Failure::Interrupted(reason) }
        }
    });
}
