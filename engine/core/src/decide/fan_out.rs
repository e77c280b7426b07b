//! A step that runs for each item of a list: items begin in order, at most `max_parallel` at a time; the step ends with the last.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Draft, begin, dry_run, settle};
use crate::{
    event::{Event, KnownBy},
    expression::ExpressionError,
    failure::{Failure, Reason},
    plan::{Each, Plan},
    run::{Phase, Run, Slot, StepState},
};

/// Longer lists are refused: each item is a step of the run, and all of them are in its journal.
pub const ITEMS_MAX: usize = 100_000;

/// The list is evaluated, once.
pub(super) fn begin(draft: &mut Draft<'_>, slot: Slot, each: &Each) {
    let step = draft.id(slot);
    let list = begin::in_scope(draft, slot, None, |scope| scope.evaluate(each.over.as_str()));
    draft.emit(match list.and_then(as_list) {
        Ok(items) => Event::FanOutBegan { step, items },
        Err(error) => Event::StepFailed { step, failure: begin::not_rendered("for_each", &error) },
    });
}

fn as_list(value: Value) -> Result<Vec<Value>, ExpressionError> {
    let wrong = |message: String| Err(ExpressionError { message, at: None });
    match value {
        Value::Array(items) if items.len() <= ITEMS_MAX => Ok(items),
        Value::Array(items) => wrong(format!("the list has {} items; at most {ITEMS_MAX} are allowed", items.len())),
        _ => wrong("the value is not a list".to_owned()),
    }
}

/// Whether another item may begin, or all are over.
pub(crate) fn wants_attention(plan: &Plan, run: &Run, slot: Slot) -> bool {
    match run.next_item(slot) {
        Some(_) => may_begin_another(plan, run, slot),
        None => run.busy_items(slot) == 0,
    }
}

fn may_begin_another(plan: &Plan, run: &Run, slot: Slot) -> bool {
    let at_once = plan.steps[slot].each.as_ref().map_or(1, |each| each.max_parallel);
    let goes_on = matches!(run.phase, Phase::Running | Phase::Handling { aborted_by: None, .. });
    goes_on && settle::has_room(run) && run.busy_items(slot) < usize::try_from(at_once).unwrap_or(usize::MAX)
}

/// Begins the next item, or ends the step where all are over.
pub(super) fn settle(draft: &mut Draft<'_>, slot: Slot, items: Range<Slot>) {
    match draft.run.next_item(slot) {
        Some(item) if may_begin_another(draft.plan, draft.run, slot) => begin::work(draft, item),
        Some(_) => {}
        None if draft.run.busy_items(slot) == 0 => end(draft, slot, items),
        None => {}
    }
}

fn end(draft: &mut Draft<'_>, slot: Slot, items: Range<Slot>) {
    let (step, count) = (draft.id(slot), items.len());
    let steps = &draft.run.steps[items];
    let failed: Vec<_> = steps.iter().filter(|item| matches!(item.state, StepState::Failed { .. })).collect();
    let cancelled = steps.iter().any(|item| item.state == StepState::Cancelled);
    let event = if let Some(first) = failed.first() {
        let message = format!("{} of {count} items failed; the first was `{}`", failed.len(), first.id);
        Event::StepFailed { step, failure: Failure::Permanent(Reason::new("run-items-failed", message)) }
    } else if cancelled {
        Event::StepCancelled { step }
    } else if let Some(reason) = dry_run::items_left_out(draft, steps) {
        Event::StepSkipped { step, reason }
    } else {
        let outputs: Vec<Value> = steps.iter().map(|item| outputs(&item.state)).collect();
        let allowed = draft.planned(slot).each.as_ref().is_some_and(|each| each.allow_empty);
        let (summary, known_by) = match count {
            0 if allowed => ("no items".to_owned(), KnownBy::Items),
            0 => ("the list is empty; nothing was done".to_owned(), KnownBy::NoItems),
            1 => ("1 item".to_owned(), KnownBy::Items),
            count => (format!("{count} items"), KnownBy::Items),
        };
        Event::StepSucceeded { step, attempt: 0, outputs: json!({ "items": outputs }), summary, known_by }
    };
    draft.emit(event);
}

/// What an item told; an empty object where it was skipped.
fn outputs(state: &StepState) -> Value {
    match state {
        StepState::Succeeded { outputs, .. } => outputs.clone(),
        StepState::ResolvedByHand { evidence, .. } => evidence.clone(),
        _ => json!({}),
    }
}
