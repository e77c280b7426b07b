//! Checks a step that calls another runbook: its inputs, and which of the outer roles plays each of the inner ones.

use super::{context::Context, model::Call, uses};
use crate::{
    diagnostic::{Findings, closest, codes},
    plan::Section,
    types::Type,
    yaml::{Entry, Node, Yaml},
};

/// Reports what does not fit the called runbook. What that one does wrong itself is reported in its own file.
pub(super) fn call(findings: &mut Findings<'_>, context: &mut Context<'_, '_>, place: usize, call: &Call<'_>) {
    handlers(findings, context, call);
    inputs(findings, context, place, call);
    targets(findings, context, call);
}

/// Only a run as a whole has an end, and so handlers.
fn handlers(findings: &mut Findings<'_>, context: &Context<'_, '_>, call: &Call<'_>) {
    let Some(called) = context.called(call) else { return };
    if let Some(handler) = called.steps.iter().find(|step| step.section != Section::Steps) {
        let message =
            format!("the handlers of `{}` do not run when it is called: `{}` …", call.file.value, handler.id.value);
        let help = Some("only the handlers of the started runbook run; repeat there what is needed".to_owned());
        findings.add_with(codes::CALLED_HANDLERS, call.file.span, message, "has handlers of its own", help);
    }
}

fn entries(node: Option<&Node>) -> &[Entry] {
    match node.map(|node| &node.value) {
        Some(Yaml::Map(entries)) => entries,
        _ => &[],
    }
}

fn inputs(findings: &mut Findings<'_>, context: &mut Context<'_, '_>, place: usize, call: &Call<'_>) {
    let given = entries(call.inputs);
    let Some(called) = context.called(call) else {
        // Their types are unknown; what they refer to must exist anyway.
        return given.iter().for_each(|entry| uses::value(findings, context, place, &entry.value, &Type::Json, false));
    };
    for entry in given {
        let Some(declared) = called.input(&entry.key) else {
            let help = closest(&entry.key, called.inputs.iter().map(|(name, _)| name.value));
            let message = format!("`{}` has no input `{}`", call.file.value, entry.key);
            let help = help.map(|near| format!("did you mean `{near}`?"));
            findings.add_with(codes::SPARE_INPUT, entry.key_span, message, "unknown input", help);
            continue;
        };
        uses::value(findings, context, place, &entry.value, &declared.ty, false);
    }
    for (name, declared) in called.inputs.iter().filter(|(_, declared)| declared.default.is_none()) {
        if !given.iter().any(|entry| entry.key == name.value) {
            let message = format!("`{}` needs the input `{}`", call.file.value, name.value);
            let colon = if declared.description.is_empty() { "" } else { ": " };
            let help = Some(format!("`{}` ({}){colon}{}", name.value, declared.ty, declared.description));
            findings.add_with(codes::MISSING_INPUT, call.file.span, message, "incomplete", help);
        }
    }
}

fn targets(findings: &mut Findings<'_>, context: &mut Context<'_, '_>, call: &Call<'_>) {
    let given = entries(call.targets);
    let called = context.called(call);
    for entry in given {
        let Some(role) = entry.value.text() else { continue };
        match called.map(|called| (called, called.target(&entry.key))) {
            Some((_, Some(declared))) => {
                uses::target(findings, context, &entry.value, role, declared.kind, declared.access);
            }
            Some((called, None)) => {
                let help = closest(&entry.key, called.targets.iter().map(|(name, _)| name.value));
                let message = format!("`{}` has no target `{}`", call.file.value, entry.key);
                let help = help.map(|near| format!("did you mean `{near}`?"));
                findings.add_with(codes::UNKNOWN_TARGET, entry.key_span, message, "unknown target", help);
            }
            None => context.used_targets.extend([role.to_owned()]),
        }
    }
    for (name, declared) in called.iter().flat_map(|called| &called.targets) {
        if !given.iter().any(|entry| entry.key == name.value) {
            let message = format!("the role `{}` of `{}` has no target", name.value, call.file.value);
            let help = format!("name a target of kind {} under `targets`: `{}: …`", declared.kind, name.value);
            findings.add_with(codes::NOT_BOUND, call.file.span, message, "incomplete", Some(help));
        }
    }
}
