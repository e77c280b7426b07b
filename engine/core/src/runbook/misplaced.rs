//! Keys that mean nothing for a step of its kind.

use super::model::{Body, Step, Use};
use crate::{
    diagnostic::{Findings, codes},
    plan::Section,
};

/// Keys that only a list has, and what each says.
const OF_LISTS: &[(&str, &str)] = &[
    ("max_parallel", "`max_parallel` says how many items of a `for_each` are in flight at once"),
    ("allow_empty", "`allow_empty` says that the list of a `for_each` may be empty"),
];

/// What a handler cannot have.
const HANDLER: &[&str] = &["undo", "on_failure"];

/// Reports them.
pub(super) fn check(findings: &mut Findings<'_>, step: &Step<'_>) {
    let (kind, wrong): (&str, &[&str]) = match step.body {
        Body::Uses(Use { has_grammar: true, .. }) => ("drill", &["with", "inputs", "targets"]),
        Body::Uses(_) => ("uses", &["inputs", "targets"]),
        Body::Runbook(_) => ("runbook", &["with", "timeout", "retry", "undo", "for_each"]),
        Body::Approve { .. } => ("approve", &["with", "inputs", "targets", "for_each"]),
        Body::Manual { .. } => ("manual", &["with", "inputs", "targets", "for_each"]),
        Body::Unclear => return,
    };
    if step.section != Section::Steps {
        for entry in step.keys.iter().filter(|entry| HANDLER.contains(&entry.key.as_str())) {
            let message = format!("a handler has no `{}`", entry.key);
            let help = Some("what handlers do is not taken back, and their failure changes nothing".to_owned());
            findings.add_with(codes::MISPLACED_KEY, entry.key_span, message, "means nothing here", help);
        }
    }
    for (key, message) in OF_LISTS.iter().filter(|_| step.each.is_none()) {
        if let Some(entry) = step.keys.iter().find(|entry| entry.key == *key) {
            findings.add(codes::MISPLACED_KEY, entry.key_span, *message, "there is no `for_each`");
        }
    }
    for entry in step.keys.iter().filter(|entry| wrong.contains(&entry.key.as_str())) {
        let message = format!("a step with `{kind}` has no `{}`", entry.key);
        findings.add_with(codes::MISPLACED_KEY, entry.key_span, message, "means nothing here", help(kind, &entry.key));
    }
}

fn help(kind: &str, key: &str) -> Option<String> {
    let text = match (kind, key) {
        (_, "for_each") => "only actions are done for each item of a list",
        ("runbook", "with") => "what a runbook is given stands under `inputs` and `targets`",
        ("runbook", _) => "the steps of the called runbook have their own",
        ("uses", _) => "what an action is given stands under `with`",
        ("drill", _) => "what a drill is given stands under `drill`",
        _ => return None,
    };
    Some(text.to_owned())
}
