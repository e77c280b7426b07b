//! Checks a runbook as a whole: names, order, actions, expressions, and what is declared and never used.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    callees,
    context::Context,
    library::{Library, UnitIndex},
    misplaced,
    model::{Body, Runbook, Step},
    order::{Order, order},
    uses,
};
use crate::{
    action::Catalogue,
    diagnostic::{Findings, closest, codes},
    plan::{Section, Variant},
    types::Type,
    yaml::Node,
};

/// Steps of one file: of each pair is known which one comes first.
const STEPS_MAX: usize = 10_000;

/// Reports everything that the grammar alone does not see.
pub(super) fn check<'n>(
    findings: &mut Findings<'_>,
    root: &Node,
    runbook: &Runbook<'n>,
    catalogue: &Catalogue,
    library: &Library<'n>,
    unit: UnitIndex,
) -> Order {
    if let Some(entry) = root.entry("steps").filter(|entry| entry.value.items().is_empty()) {
        findings.add(codes::NO_STEPS, entry.key_span, "a runbook needs at least one step", "no steps");
    }
    if let Some(step) = runbook.steps.get(STEPS_MAX) {
        let message = format!("the file has {} steps; at most {STEPS_MAX} are allowed", runbook.steps.len());
        findings.add(codes::RUNBOOK_TOO_LARGE, step.id.span, message, "one too many");
        return Order::default();
    }
    check_variants(findings, root, runbook);
    check_defaults(findings, root, runbook);
    let mut order = order(findings, runbook);
    check_restoring_step(findings, root, &order);
    let (used_inputs, used_targets) = (BTreeSet::new(), BTreeSet::new());
    let mut context = Context {
        runbook,
        collection: library,
        unit,
        catalogue,
        order: &order,
        item: None,
        items: BTreeMap::new(),
        used_inputs,
        used_targets,
    };
    for place in 0..runbook.steps.len() {
        check_step(findings, &mut context, place);
    }
    report_unused(findings, &context);
    let items = context.items;
    order.items = items;
    order
}

/// A run of a variant in which nothing is left would do nothing and end well.
fn check_variants(findings: &mut Findings<'_>, root: &Node, runbook: &Runbook<'_>) {
    let steps = || runbook.steps.iter().filter(|step| step.section == Section::Steps);
    let Some(entry) = root.entry("steps").filter(|_| steps().next().is_some()) else { return };
    for variant in Variant::ALL {
        if steps().all(|step| step.variant.is_some_and(|other| other != variant)) {
            let message = format!("the variant `{}` has no steps", variant.as_str());
            findings.add(codes::NO_STEPS, entry.key_span, message, "no steps");
        }
    }
}

fn check_restoring_step(findings: &mut Findings<'_>, root: &Node, order: &Order) {
    let Some(node) = root.get("objectives").and_then(|objectives| objectives.get("restored_by")) else { return };
    let Some(name) = node.text().filter(|name| !order.places.contains_key(*name)) else { return };
    let help = closest(name, order.places.keys().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
    findings.add_with(codes::UNKNOWN_STEP, node.span, format!("there is no step `{name}`"), "unknown step", help);
}

fn check_defaults(findings: &mut Findings<'_>, root: &Node, runbook: &Runbook<'_>) {
    for (name, input) in &runbook.inputs {
        let Some(default) = &input.default else { continue };
        let node = root.get("inputs").and_then(|inputs| inputs.get(name.value)).and_then(|node| node.get("default"));
        if let Some(node) = node.filter(|node| holds_expression(node)) {
            let message =
                format!("the default of `{}` contains an expression; only a plain value is allowed", name.value);
            findings.add(codes::BAD_DEFAULT, node.span, message, "not a plain value");
        } else if let Err(mismatch) = input.ty.check(default) {
            let message = format!("the default of `{}` does not have its type: {mismatch}", name.value);
            let span = node.map_or(name.span, |node| node.span);
            findings.add(codes::BAD_DEFAULT, span, message, format!("expected {}", input.ty));
        }
    }
}

fn holds_expression(node: &Node) -> bool {
    let text = node.text().is_some_and(|text| text.contains("${{"));
    text || node.items().iter().any(holds_expression)
        || node.entries().iter().any(|entry| holds_expression(&entry.value))
}

fn check_step(findings: &mut Findings<'_>, context: &mut Context<'_, '_>, place: usize) {
    let step = &context.runbook.steps[place];
    if let Some(when) = step.when {
        uses::condition(findings, context, place, when);
    }
    context.item = step.each.map(|each| uses::list(findings, context, place, each));
    match &step.body {
        Body::Uses(action) => uses::action(findings, context, place, action, false),
        Body::Approve { message, .. } => {
            message.iter().for_each(|node| uses::value(findings, context, place, node, &Type::String, false));
        }
        Body::Manual { instruction, verify, .. } => {
            instruction.iter().for_each(|node| uses::value(findings, context, place, node, &Type::String, false));
            verify.iter().for_each(|action| uses::action(findings, context, place, action, true));
        }
        Body::Runbook(call) => callees::call(findings, context, place, call),
        Body::Unclear => {}
    }
    if let Some(undo) = &step.undo {
        uses::action(findings, context, place, undo, true);
    }
    if let Some(item) = context.item.take() {
        context.items.insert(place, item);
    }
    check_time(findings, step);
    check_backoff(findings, step);
    misplaced::check(findings, step);
    let acts = matches!(step.body, Body::Uses(_) | Body::Unclear | Body::Manual { verify: Some(_), .. });
    if step.retry.attempts > 1 && !acts && !matches!(step.body, Body::Runbook(_)) {
        let message = format!("`retry` of `{}` has no effect: the step runs no action", step.id.value);
        findings.add(codes::IDLE_RETRY, step.id.span, message, "waits for a person");
    }
}

/// A first wait that the longest one cuts short is not what the author meant.
fn check_backoff(findings: &mut Findings<'_>, step: &Step<'_>) {
    let retry = step.keys.iter().find(|entry| entry.key == "retry");
    let said = |key| retry.and_then(|retry| retry.value.entry(key));
    if let (Some(_), Some(most)) = (said("backoff"), said("backoff_max"))
        && step.retry.backoff_max < step.retry.backoff
    {
        let message = format!("`backoff_max` of `{}` is less than its `backoff`", step.id.value);
        findings.add(codes::CONTRADICTION, most.value.span, message, "less than `backoff`");
    }
}

/// Only attempts have a time in all: a question stands for as long as its `timeout` says.
fn check_time(findings: &mut Findings<'_>, step: &Step<'_>) {
    let timeout = step.keys.iter().find(|entry| entry.key == "timeout");
    let entry = timeout.and_then(|timeout| timeout.value.entry("step"));
    let (Some(entry), Some(limit)) = (entry, step.time_limit) else { return };
    if matches!(step.body, Body::Approve { .. } | Body::Manual { .. }) {
        let message =
            format!("`{}` waits for a person and has no attempts: `timeout.step` does not apply", step.id.value);
        let help = Some("write `timeout: 40m` to limit the time for an answer".to_owned());
        findings.add_with(codes::MISPLACED_KEY, entry.key_span, message, "only for actions", help);
    } else if step.timeout.is_some_and(|attempt| attempt > limit) {
        let message = format!("`timeout.step` of `{}` is less than its `timeout.attempt`", step.id.value);
        findings.add(codes::CONTRADICTION, entry.value.span, message, "less than `attempt`");
    }
}

fn report_unused(findings: &mut Findings<'_>, context: &Context<'_, '_>) {
    for (name, _) in context.runbook.inputs.iter().filter(|(name, _)| !context.used_inputs.contains(name.value)) {
        let message = format!("the input `{}` is never used", name.value);
        findings.add(codes::UNUSED_INPUT, name.span, message, "unused");
    }
    for (name, _) in context.runbook.targets.iter().filter(|(name, _)| !context.used_targets.contains(name.value)) {
        let message = format!("the target `{}` is never used", name.value);
        findings.add(codes::UNUSED_TARGET, name.span, message, "unused");
    }
}
