//! Keys that mean nothing for a step of its kind.

use super::model::{Body, Step, Use};
use crate::{
    diagnostic::{Findings, codes},
    plan::Section,
};

/// Keys that only a list has, and what each says.
const OF_LISTS: &[(&str, &str)] = &[
    ("max_parallel", "`max_parallel` needs `for_each`: it limits how many items are in flight at once"),
    ("allow_empty", "`allow_empty` needs `for_each`: it allows an empty list"),
];

/// What a handler cannot have.
const HANDLER: &[&str] = &["undo", "on_failure"];

/// Reports them.
pub(super) fn check(findings: &mut Findings<'_>, step: &Step<'_>) {
    let (kind, wrong): (&str, &[&str]) = match step.body {
        Body::Uses(Use { has_grammar: true, .. }) => ("drill", &["with", "inputs", "targets"]),
        Body::Uses(_) => ("uses", &["inputs", "targets"]),
        Body::Runbook(_) => ("runbook", &["with", "timeout", "estimate", "retry", "undo", "for_each"]),
        Body::Approve { .. } => ("approve", &["with", "inputs", "targets", "for_each"]),
        Body::Manual { .. } => ("manual", &["with", "inputs", "targets", "for_each"]),
        Body::Unclear => return,
    };
    if step.section != Section::Steps {
        for entry in step.keys.iter().filter(|entry| HANDLER.contains(&entry.key.as_str())) {
            let message = format!("a handler cannot have `{}`", entry.key);
            let help = Some("handlers are never undone, and their failure does not change the outcome".to_owned());
            findings.add_with(codes::MISPLACED_KEY, entry.key_span, message, "not allowed here", help);
        }
    }
    for (key, message) in OF_LISTS.iter().filter(|_| step.each.is_none()) {
        if let Some(entry) = step.keys.iter().find(|entry| entry.key == *key) {
            findings.add(codes::MISPLACED_KEY, entry.key_span, *message, "the step has no `for_each`");
        }
    }
    for entry in step.keys.iter().filter(|entry| wrong.contains(&entry.key.as_str())) {
        let message = format!("a step with `{kind}` cannot have `{}`", entry.key);
        findings.add_with(codes::MISPLACED_KEY, entry.key_span, message, "not allowed here", help(kind, &entry.key));
    }
}

fn help(kind: &str, key: &str) -> Option<String> {
    let text = match (kind, key) {
        (_, "for_each") => "only actions can have `for_each`",
        ("runbook", "with") => "put the values for the called runbook under `inputs` and `targets`",
        ("runbook", _) => "set it on the steps of the called runbook",
        ("uses", _) => "put the parameters of an action under `with`",
        ("drill", _) => "put the parameters of a drill under `drill`",
        _ => return None,
    };
    Some(text.to_owned())
}
