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
    diagnostic::{Findings, codes},
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
        findings.add(codes::NO_STEPS, entry.key_span, "a runbook has at least one step", "nothing is done");
    }
    if let Some(step) = runbook.steps.get(STEPS_MAX) {
        let message = format!("the file has {} steps, and at most {STEPS_MAX} are read", runbook.steps.len());
        findings.add(codes::RUNBOOK_TOO_LARGE, step.id.span, message, "one too many");
        return Order::default();
    }
    check_variants(findings, root, runbook);
    check_defaults(findings, root, runbook);
    let mut order = order(findings, runbook);
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
            let message = format!("in the variant `{}` no step is left", variant.as_str());
            findings.add(codes::NO_STEPS, entry.key_span, message, "nothing is done");
        }
    }
}

fn check_defaults(findings: &mut Findings<'_>, root: &Node, runbook: &Runbook<'_>) {
    for (name, input) in &runbook.inputs {
        let Some(default) = &input.default else { continue };
        let node = root.get("inputs").and_then(|inputs| inputs.get(name.value)).and_then(|node| node.get("default"));
        if let Some(node) = node.filter(|node| holds_expression(node)) {
            let message = format!(
                "the default of `{}` holds an expression, and there is nothing that it could refer to",
                name.value
            );
            findings.add(codes::BAD_DEFAULT, node.span, message, "a plain value");
        } else if let Err(mismatch) = input.ty.check(default) {
            let message = format!("the default of `{}` is not of its type: {mismatch}", name.value);
            let span = node.map_or(name.span, |node| node.span);
            findings.add(codes::BAD_DEFAULT, span, message, format!("wanted: {}", input.ty));
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
        let message = format!("`retry` of `{}` can never be used: it runs no action", step.id.value);
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
        let message = format!("no wait of `{}` can be as long as its first one", step.id.value);
        findings.add(codes::CONTRADICTION, most.value.span, message, "less than `backoff`");
    }
}

/// Only attempts have a time in all: a question stands for as long as its `timeout` says.
fn check_time(findings: &mut Findings<'_>, step: &Step<'_>) {
    let timeout = step.keys.iter().find(|entry| entry.key == "timeout");
    let entry = timeout.and_then(|timeout| timeout.value.entry("step"));
    let (Some(entry), Some(limit)) = (entry, step.time_limit) else { return };
    if matches!(step.body, Body::Approve { .. } | Body::Manual { .. }) {
        let message = format!("`{}` waits for a person: it has no time for all attempts", step.id.value);
        let help = Some("`timeout: 40m` says how long somebody may take to answer".to_owned());
        findings.add_with(codes::MISPLACED_KEY, entry.key_span, message, "only where an action runs", help);
    } else if step.timeout.is_some_and(|attempt| attempt > limit) {
        let message = format!("one attempt of `{}` may take longer than all of them", step.id.value);
        findings.add(codes::CONTRADICTION, entry.value.span, message, "less than `attempt`");
    }
}

fn report_unused(findings: &mut Findings<'_>, context: &Context<'_, '_>) {
    for (name, _) in context.runbook.inputs.iter().filter(|(name, _)| !context.used_inputs.contains(name.value)) {
        let message = format!("nothing uses the input `{}`", name.value);
        findings.add(codes::UNUSED_INPUT, name.span, message, "must be given for nothing");
    }
    for (name, _) in context.runbook.targets.iter().filter(|(name, _)| !context.used_targets.contains(name.value)) {
        let message = format!("nothing uses the target `{}`", name.value);
        findings.add(codes::UNUSED_TARGET, name.span, message, "must be bound for nothing");
    }
}
