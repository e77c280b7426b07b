//! Keys that mean nothing for a step of its kind.

use super::model::{Body, Step};
use crate::diagnostic::{Findings, codes};

/// Reports them.
pub(super) fn check(findings: &mut Findings<'_>, step: &Step<'_>) {
    let (kind, wrong): (&str, &[&str]) = match step.body {
        Body::Uses(_) => ("uses", &["inputs", "targets"]),
        Body::Runbook(_) => ("runbook", &["with", "timeout", "retry", "undo"]),
        Body::Approve { .. } => ("approve", &["with", "inputs", "targets"]),
        Body::Manual { .. } => ("manual", &["with", "inputs", "targets"]),
        Body::Unclear => return,
    };
    for entry in step.keys.iter().filter(|entry| wrong.contains(&entry.key.as_str())) {
        let message = format!("a step with `{kind}` has no `{}`", entry.key);
        findings.add_with(codes::MISPLACED_KEY, entry.key_span, message, "means nothing here", help(kind, &entry.key));
    }
}

fn help(kind: &str, key: &str) -> Option<String> {
    let text = match (kind, key) {
        ("runbook", "with") => "what a runbook is given stands under `inputs` and `targets`",
        ("runbook", _) => "the steps of the called runbook have their own",
        ("uses", _) => "what an action is given stands under `with`",
        _ => return None,
    };
    Some(text.to_owned())
}
