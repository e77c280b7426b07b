//! Begins an attempt: renders its parameters and records them.

use serde_json::{Map, Value};

use super::{Draft, dry_run, fan_out};
use crate::{
    event::{Event, SkipReason},
    expression::{Expression, ExpressionError, Template},
    failure::{Failure, Reason},
    plan::{CallIndex, Invocation, Plan, Section, Step, StepKind},
    run::{Next, Slot},
    scope::Scope,
    text,
};

/// Of a question or an instruction.
const PEOPLE_BYTES_MAX: usize = 1 << 16;

/// Begins a step whose needs are met.
pub(super) fn begin(draft: &mut Draft<'_>, index: Slot) {
    let planned = draft.planned(index);
    let skip = |draft: &mut Draft<'_>, reason| {
        draft.emit(Event::StepSkipped { step: draft.id(index), reason });
    };
    if let Some(reason) = draft.run.skips.get(&index).cloned() {
        return skip(draft, reason);
    }
    for (within, condition) in conditions(draft.plan, planned) {
        if let Some(reason) = dry_run::condition_not_known(draft, index, within, condition) {
            return skip(draft, reason);
        }
        match in_scope(draft, index, None, |scope| Scope { within, ..*scope }.is_true(condition)) {
            Ok(true) => {}
            Ok(false) => return skip(draft, left_out(&planned.kind)),
            Err(error) => return give_up(draft, index, "when", &error),
        }
    }
    match &planned.each {
        Some(each) => match dry_run::list_not_known(draft, index, each) {
            Some(reason) => skip(draft, reason),
            None => fan_out::begin(draft, index, each),
        },
        None => work(draft, index),
    }
}

/// What a `when` that is false means. A run has nothing to make up for if nobody had to be asked.
fn left_out(kind: &StepKind) -> SkipReason {
    match kind {
        StepKind::Approve { .. } | StepKind::Manual { .. } => SkipReason::NotAsked,
        StepKind::Uses(_) => SkipReason::WhenFalse,
    }
}

/// What must be true for the step to be done, each with the call in whose runbook it stands: that of the outermost call first.
fn conditions<'p>(plan: &'p Plan, step: &'p Step) -> Vec<(Option<CallIndex>, &'p Expression)> {
    let mut conditions: Vec<_> = step.when.iter().map(|when| (step.within, when)).collect();
    let mut within = step.within;
    while let Some(call) = within.and_then(|call| plan.called.get(call)) {
        conditions.extend(call.when.iter().map(|when| (call.within, when)));
        within = call.within;
    }
    conditions.reverse();
    conditions
}

/// Begins the work itself: of a step, or of an item whose step has begun already.
pub(super) fn work(draft: &mut Draft<'_>, index: Slot) {
    let planned = draft.planned(index);
    let skip = |draft: &mut Draft<'_>, reason| {
        draft.emit(Event::StepSkipped { step: draft.id(index), reason });
    };
    // In doubt before it began at this end of the run: an end before it has done it, or may have.
    if planned.section != Section::Steps
        && draft.step(index).in_doubt
        && planned.action().is_some_and(|action| !action.idempotent)
    {
        return skip(draft, SkipReason::DoneBefore);
    }
    if let Some(reason) = dry_run::work_not_known(draft, index) {
        return skip(draft, reason);
    }
    match &planned.kind {
        StepKind::Uses(action) => start(draft, index, action, None),
        StepKind::Approve { by, message, four_eyes, expires } => {
            match in_scope(draft, index, None, |scope| for_people(message, scope)) {
                Ok(message) if draft.is_dry_run() => skip(draft, SkipReason::WouldAsk { message }),
                Ok(message) => {
                    let expires = expires.map(|length| draft.after(length));
                    let (by, four_eyes) = (by.clone(), *four_eyes);
                    draft.emit(Event::ApprovalRequested { step: draft.id(index), by, message, four_eyes, expires });
                }
                Err(error) => give_up(draft, index, "message", &error),
            }
        }
        StepKind::Manual { .. } => ask_hands(draft, index, None),
    }
}

/// Asks a person to do a manual step; `problem` says why what they handed in before was not enough.
pub(super) fn ask_hands(draft: &mut Draft<'_>, index: Slot, problem: Option<&str>) {
    let StepKind::Manual { instruction, evidence, .. } = &draft.planned(index).kind else { return };
    match in_scope(draft, index, None, |scope| for_people(instruction, scope)) {
        Ok(message) if draft.is_dry_run() => {
            draft.emit(Event::StepSkipped { step: draft.id(index), reason: SkipReason::WouldAsk { message } });
        }
        Ok(instruction) => {
            let instruction = match problem {
                Some(problem) => format!("{instruction}\n\nNot done yet: {problem}"),
                None => instruction,
            };
            let evidence = evidence.iter().map(|(name, ty)| (name.clone(), ty.to_string())).collect();
            draft.emit(Event::HandsRequested { step: draft.id(index), instruction, evidence });
        }
        Err(error) => give_up(draft, index, "instruction", &error),
    }
}

/// The wait before another attempt is over.
pub(super) fn again(draft: &mut Draft<'_>, index: Slot, next: &Next, last: &Failure) {
    let planned = draft.planned(index);
    match (next, &planned.kind) {
        (Next::Run | Next::Verify { .. }, _) if !draft.has_time(index, draft.now) => {
            draft.emit(Event::StepFailed { step: draft.id(index), failure: out_of_time(planned, last) });
        }
        (Next::Run, StepKind::Uses(action)) => start(draft, index, action, None),
        (Next::Verify { evidence, .. }, StepKind::Manual { verify: Some(action), .. }) => {
            start(draft, index, action, Some(evidence));
        }
        (Next::Observe(attempt), _) => {
            draft.emit(Event::ObservationStarted { step: draft.id(index), attempt: attempt.number });
        }
        // A journal of another plan; the plan's digest is compared before it gets here.
        _ => {}
    }
}

/// Starts the step's action, or the check of what a person did.
pub(super) fn start(draft: &mut Draft<'_>, index: Slot, action: &Invocation, own: Option<&Value>) {
    match in_scope(draft, index, own, |scope| parameters(action, scope)) {
        Ok(parameters) => {
            let attempt = draft.step(index).attempts + 1;
            let deadline = draft.deadline(index);
            draft.emit(Event::StepStarted { step: draft.id(index), attempt, parameters, deadline });
        }
        Err(error) => give_up(draft, index, "with", &error),
    }
}

/// Text for people. What it takes from outputs and inputs steers no terminal.
fn for_people(template: &Template, scope: &Scope<'_>) -> Result<String, ExpressionError> {
    scope.render_text(template).map(|rendered| text::plain(&rendered, PEOPLE_BYTES_MAX))
}

/// Rendered parameters, checked against their declared types.
pub(super) fn parameters(action: &Invocation, scope: &Scope<'_>) -> Result<Value, ExpressionError> {
    let mut rendered = Map::new();
    for (name, template) in &action.with {
        let wrong = |problem: String| ExpressionError { message: format!("`{name}`: {problem}"), at: None };
        let value = scope.render(template).map_err(|error| wrong(error.message))?;
        if let Some(ty) = action.parameters.get(name) {
            ty.check(&value).map_err(|mismatch| wrong(mismatch.to_string()))?;
        }
        rendered.insert(name.clone(), value);
    }
    Ok(Value::Object(rendered))
}

pub(super) fn in_scope<T>(
    draft: &Draft<'_>,
    index: Slot,
    own: Option<&Value>,
    read: impl FnOnce(&Scope<'_>) -> Result<T, ExpressionError>,
) -> Result<T, ExpressionError> {
    draft
        .with_scope(index, own, read)
        .unwrap_or_else(|| Err(ExpressionError { message: "the run has not started".to_owned(), at: None }))
}

/// The time of the whole step passed while no engine worked on the run, or while the result of an attempt was being found out.
/// That is not done for an attempt that can be repeated.
fn out_of_time(planned: &Step, last: &Failure) -> Failure {
    let message = format!("the whole step ran out of time; last failure: {}", last.reason().message);
    let reason = Reason::new("run-timed-out", message);
    match given_up(planned, last) {
        Failure::Interrupted(_) => Failure::Interrupted(reason),
        _ => Failure::Permanent(reason),
    }
}

/// The failure of a step whose next attempt does not come. An attempt that was cut off and cannot be repeated was looked into: had
/// it taken effect, no other would have been ahead.
pub(super) fn given_up(planned: &Step, last: &Failure) -> Failure {
    let repeatable = planned.action().is_some_and(|action| action.idempotent);
    match last {
        Failure::Interrupted(reason) if !repeatable => Failure::Permanent(reason.clone()),
        last => last.clone(),
    }
}

fn give_up(draft: &mut Draft<'_>, index: Slot, part: &str, error: &ExpressionError) {
    draft.emit(Event::StepFailed { step: draft.id(index), failure: not_rendered(part, error) });
}

/// The failure of a step whose text could not be rendered.
pub(super) fn not_rendered(part: &str, error: &ExpressionError) -> Failure {
    Failure::InvalidInput(Reason::new("run-render", format!("its `{part}` has no value: {error}")))
}
