//! Checks a runbook as a whole: names, order, actions, expressions, and what is declared and never used.

use std::collections::BTreeSet;

use super::{
    model::{Body, Runbook, Step},
    order::{Order, order},
    uses,
};
use crate::{
    action::Catalogue,
    diagnostic::{Findings, codes},
    types::Type,
    yaml::Node,
};

/// What the checks of single steps look at, and what they note.
pub(super) struct Context<'c, 'n> {
    pub(super) runbook: &'c Runbook<'n>,
    pub(super) catalogue: &'c Catalogue,
    pub(super) order: &'c Order,
    pub(super) used_inputs: BTreeSet<String>,
    pub(super) used_targets: BTreeSet<String>,
}

/// Reports everything that the grammar alone does not see.
pub(super) fn check(findings: &mut Findings<'_>, root: &Node, runbook: &Runbook<'_>, catalogue: &Catalogue) -> Order {
    if let Some(entry) = root.entry("steps").filter(|entry| entry.value.items().is_empty()) {
        findings.add(codes::NO_STEPS, entry.key_span, "a runbook has at least one step", "nothing is done");
    }
    check_defaults(findings, root, runbook);
    let order = order(findings, runbook);
    let (used_inputs, used_targets) = (BTreeSet::new(), BTreeSet::new());
    let mut context = Context { runbook, catalogue, order: &order, used_inputs, used_targets };
    for place in 0..runbook.steps.len() {
        check_step(findings, &mut context, place);
    }
    report_unused(findings, &context);
    order
}

fn check_defaults(findings: &mut Findings<'_>, root: &Node, runbook: &Runbook<'_>) {
    for (name, input) in &runbook.inputs {
        let Some(default) = &input.default else { continue };
        if let Err(mismatch) = input.ty.check(default) {
            let node =
                root.get("inputs").and_then(|inputs| inputs.get(name.value)).and_then(|node| node.get("default"));
            let message = format!("the default of `{}` is not of its type: {mismatch}", name.value);
            let span = node.map_or(name.span, |node| node.span);
            findings.add(codes::BAD_DEFAULT, span, message, format!("wanted: {}", input.ty));
        }
    }
}

fn check_step(findings: &mut Findings<'_>, context: &mut Context<'_, '_>, place: usize) {
    let step = &context.runbook.steps[place];
    if let Some(when) = step.when {
        uses::condition(findings, context, place, when);
    }
    match &step.body {
        Body::Uses(action) => uses::action(findings, context, place, action, false),
        Body::Approve { message, .. } => {
            message.iter().for_each(|node| uses::value(findings, context, place, node, &Type::String, false));
        }
        Body::Manual { instruction, verify, .. } => {
            instruction.iter().for_each(|node| uses::value(findings, context, place, node, &Type::String, false));
            verify.iter().for_each(|action| uses::action(findings, context, place, action, true));
        }
        Body::Unclear => {}
    }
    if let Some(undo) = &step.undo {
        uses::action(findings, context, place, undo, true);
    }
    check_time(findings, step);
    let acts = matches!(step.body, Body::Uses(_) | Body::Unclear | Body::Manual { verify: Some(_), .. });
    if step.retry.attempts > 1 && !acts {
        let message = format!("`retry` of `{}` can never be used: it runs no action", step.id.value);
        findings.add(codes::IDLE_RETRY, step.id.span, message, "waits for a person");
    }
}

/// Only attempts have a time in all: a question stands for as long as its `timeout` says.
fn check_time(findings: &mut Findings<'_>, step: &Step<'_>) {
    let entry = step.timeout_node.and_then(|node| node.entry("step"));
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
