//! A dry-run: steps that would change something or ask somebody are left out visibly, and so are those which would need to know
//! what these would have told. Everything else is done, so that it shows what a real run would meet.

use serde_json::{Map, Value};

use super::{Draft, begin};
use crate::{
    event::SkipReason,
    expression::{self, Expression, Part, Template},
    failure::{Failure, FailureKind, HELD_BACK},
    name::StepId,
    plan::{CallIndex, Each, StepKind},
    run::{Slot, StepRun, StepState},
};

/// Why the step cannot even be tried: what these texts refer to was not told by any step. `None` outside of a dry-run.
fn not_known(draft: &Draft<'_>, index: Slot, within: Option<CallIndex>, texts: &[&Value]) -> Option<SkipReason> {
    if !draft.is_dry_run() {
        return None;
    }
    let mut unknown = Vec::new();
    texts.iter().for_each(|text| collect(draft, within, text, &mut unknown));
    unknown.sort();
    unknown.dedup();
    (!unknown.is_empty()).then(|| SkipReason::NotKnown { parameters: as_far_as_known(draft, index), unknown })
}

/// As [`not_known`], of a condition in the runbook of this call: the step's `when`, or that of a call that leads to it.
pub(super) fn condition_not_known(
    draft: &Draft<'_>,
    index: Slot,
    within: Option<CallIndex>,
    condition: &Expression,
) -> Option<SkipReason> {
    let text = Value::String(format!("${{{{{}}}}}", condition.as_str()));
    not_known(draft, index, within, &[&text])
}

/// As [`not_known`], of what the step does.
pub(super) fn work_not_known(draft: &Draft<'_>, index: Slot) -> Option<SkipReason> {
    let texts: Vec<&Value> = templates(&draft.planned(index).kind).into_iter().map(|(_, it)| it.as_value()).collect();
    not_known(draft, index, draft.planned(index).within, &texts)
}

/// As [`not_known`], of the step's list.
pub(super) fn list_not_known(draft: &Draft<'_>, index: Slot, each: &Each) -> Option<SkipReason> {
    condition_not_known(draft, index, draft.planned(index).within, &each.over)
}

/// Why a step counts as left out whose items were: the first one's reason.
pub(super) fn items_left_out(draft: &Draft<'_>, items: &[StepRun]) -> Option<SkipReason> {
    let reason = |item: &StepRun| match &item.state {
        StepState::Skipped { reason } if reason.is_of_a_dry_run() => Some(reason.clone()),
        _ => None,
    };
    if draft.is_dry_run() { items.iter().find_map(reason) } else { None }
}

/// What a step's own failure means in a dry-run, where it was kept from changing something.
pub(super) fn held_back(draft: &Draft<'_>, parameters: &Value, failure: &Failure) -> Option<SkipReason> {
    let held_back = matches!(failure, Failure::Denied(reason) if reason.code == HELD_BACK);
    (draft.is_dry_run() && held_back).then(|| SkipReason::WouldRun { parameters: parameters.clone() })
}

/// A step before this one that the dry-run left out, so that the failure may have no other cause. A guard's refusal has.
pub(super) fn left_out_before(draft: &Draft<'_>, index: Slot, failure: &Failure) -> Option<Slot> {
    let guard = matches!(failure.kind(), FailureKind::Denied | FailureKind::InvalidInput);
    if guard || !draft.is_dry_run() {
        return None;
    }
    draft.run.before(draft.run.place(index)).find(|need| is_left_out(draft, *need))
}

/// The texts of a step that hold expressions, by name.
fn templates(kind: &StepKind) -> Vec<(&str, &Template)> {
    match kind {
        StepKind::Uses(action) => action.with.iter().map(|(name, template)| (name.as_str(), template)).collect(),
        StepKind::Approve { message, .. } => vec![("message", message)],
        StepKind::Manual { instruction, .. } => vec![("instruction", instruction)],
    }
}

/// What a real run would give the step; where that is not known, the expression itself.
fn as_far_as_known(draft: &Draft<'_>, index: Slot) -> Value {
    let render = |(name, template): (&str, &Template)| {
        let mut unknown = Vec::new();
        collect(draft, draft.planned(index).within, template.as_value(), &mut unknown);
        let known = if unknown.is_empty() {
            begin::in_scope(draft, index, None, |scope| scope.render(template)).ok()
        } else {
            None
        };
        (name.to_owned(), known.unwrap_or_else(|| template.as_value().clone()))
    };
    Value::Object(templates(&draft.planned(index).kind).into_iter().map(render).collect::<Map<_, _>>())
}

/// Adds every reference in the text to the outputs of a step that the dry-run left out: `steps.find.outputs.xid`.
fn collect(draft: &Draft<'_>, within: Option<CallIndex>, text: &Value, unknown: &mut Vec<String>) {
    match text {
        Value::String(text) => {
            for part in expression::parts(text).unwrap_or_default() {
                let Part::Expression { text, .. } = part else { continue };
                // What cannot be read fails where it is rendered.
                let references = expression::analyse(text).map(|analysis| analysis.references).unwrap_or_default();
                references.iter().for_each(|reference| look_up(draft, within, &reference.path, unknown));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(draft, within, item, unknown)),
        Value::Object(entries) => entries.values().for_each(|value| collect(draft, within, value, unknown)),
        _ => {}
    }
}

/// Adds the reference where it is to a step that was left out. An input of a called runbook is as little known as what it is made of.
fn look_up(draft: &Draft<'_>, within: Option<CallIndex>, path: &[String], unknown: &mut Vec<String>) {
    let [root, name, ..] = path else { return };
    match (root.as_str(), within.and_then(|call| draft.plan.called.get(call))) {
        ("inputs", Some(call)) => {
            if let Some(input) = call.inputs.get(name) {
                collect(draft, call.within, input.value.as_value(), unknown);
            }
        }
        ("steps", call) => {
            let path_of = call.map_or_else(|| name.clone(), |call| format!("{}/{name}", call.path));
            let step = StepId::parse(path_of).ok().and_then(|id| draft.position(&id));
            if step.is_some_and(|index| is_left_out(draft, index)) {
                unknown.push(path.join("."));
            }
        }
        _ => {}
    }
}

fn is_left_out(draft: &Draft<'_>, index: Slot) -> bool {
    matches!(&draft.step(index).state, StepState::Skipped { reason } if reason.is_of_a_dry_run())
}
