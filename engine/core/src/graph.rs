//! A plan as a picture: text for the terminal, DOT and Mermaid for documents.

use std::fmt::Write;

use jiff::SignedDuration;

use crate::plan::{CalledRunbook, OnFailure, Plan, Section, Step, StepKind};

/// The steps in order, one a line, with what each waits for and its modifiers. A called runbook has a line before its steps.
pub fn tree(plan: &Plan) -> String {
    let variant = plan.variant.map(|variant| format!(" ({})", variant.as_str())).unwrap_or_default();
    let mut text = format!("{}  {}{variant}\n", plan.runbook.id, plan.runbook.name);
    let mut lines: Vec<[String; 3]> = Vec::new();
    let mut shown = 0;
    let mut section = Section::Steps;
    for (index, step) in plan.steps.iter().enumerate() {
        if step.section != section {
            section = step.section;
            lines.push([heading(section).to_owned(), String::new(), String::new()]);
        }
        // The calls stand in the order of their first steps.
        let upto = step.within.map_or(shown, |call| shown.max(call + 1));
        lines.extend(plan.called[shown..upto].iter().map(call));
        shown = upto;
        lines.push([step.id.to_string(), kind(step), notes(plan, index, step)]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let (names, kinds) = (width(0), width(1));
    for (index, [name, kind, notes]) in lines.iter().enumerate() {
        if kind.is_empty() {
            let _ = writeln!(text, "{name}");
            continue;
        }
        let branch = if index + 1 == lines.len() { "└─" } else { "├─" };
        let line = format!("{branch} {name:names$}  {kind:kinds$}  {notes}");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn heading(section: Section) -> &'static str {
    match section {
        Section::Steps => "then",
        Section::OnFailure => "where that fails",
        Section::Finally => "in the end",
    }
}

fn call(call: &CalledRunbook) -> [String; 3] {
    let when = call.when.as_ref().map(|when| format!(" · when {}", when.as_str())).unwrap_or_default();
    let notes = format!("calls {}: {}{when}", call.runbook.id, call.runbook.name);
    [call.path.to_string(), call.file.clone(), notes]
}

fn kind(step: &Step) -> String {
    match &step.kind {
        StepKind::Uses(action) => action.action.to_string(),
        StepKind::Approve { by, .. } if by.is_empty() => "approve".to_owned(),
        StepKind::Approve { by, .. } => format!("approve by {}", by.join(", ")),
        StepKind::Manual { .. } => "manual".to_owned(),
    }
}

fn notes(plan: &Plan, index: usize, step: &Step) -> String {
    let mut notes = Vec::new();
    match step.needs.as_slice() {
        [] if index > 0 && plan.steps[index - 1].section == step.section => notes.push("starts at once".to_owned()),
        [need] if need + 1 == index => {}
        [] => {}
        needs => {
            let names: Vec<_> = needs.iter().map(|need| plan.steps[*need].id.as_str()).collect();
            notes.push(format!("after {}", names.join(", ")));
        }
    }
    notes.extend(step.variant.map(|variant| format!("only {}", variant.as_str())));
    notes.extend(step.when.as_ref().map(|when| format!("when {}", when.as_str())));
    if let Some(each) = &step.each {
        notes.push(format!("for each of {}, {} at once", each.over.as_str(), each.max_parallel));
        notes.extend(each.allow_empty.then(|| "there may be none".to_owned()));
    }
    notes.extend(step.timeout.map(|timeout| format!("timeout {}", brief(timeout))));
    notes.extend(step.time_limit.map(|limit| format!("{} in all", brief(limit))));
    if step.retry.attempts > 1 {
        notes.push(format!("up to {} attempts", step.retry.attempts));
    }
    notes.extend(step.undo.as_ref().map(|undo| format!("undo {}", undo.action)));
    match step.on_failure {
        OnFailure::Stop => {}
        OnFailure::Continue => notes.push("may fail".to_owned()),
        OnFailure::Undo => notes.push("failure undoes the run".to_owned()),
    }
    notes.join(" · ")
}

fn brief(length: SignedDuration) -> String {
    format!("{length:#}").replace(' ', "")
}

/// The plan in the language of Graphviz.
pub fn dot(plan: &Plan) -> String {
    let mut text = format!("digraph {} {{\n  rankdir=TB;\n  node [shape=box];\n", quoted(&plan.runbook.id));
    for step in &plan.steps {
        let shape = match step.kind {
            StepKind::Uses(_) => "box",
            StepKind::Approve { .. } => "diamond",
            StepKind::Manual { .. } => "house",
        };
        let (id, label) = (quoted(step.id.as_str()), quoted(&format!("{}\n{}", step.id, kind(step))));
        let _ = writeln!(text, "  {id} [label={label}, shape={shape}];");
    }
    for (from, to) in edges(plan) {
        let _ = writeln!(text, "  {} -> {};", quoted(from), quoted(to));
    }
    text + "}\n"
}

/// The plan in the language of Mermaid.
pub fn mermaid(plan: &Plan) -> String {
    let mut text = "flowchart TD\n".to_owned();
    for (index, step) in plan.steps.iter().enumerate() {
        let label = format!("{}<br/>{}", escaped(step.id.as_str()), escaped(&kind(step)));
        let _ = match step.kind {
            StepKind::Uses(_) => writeln!(text, "  s{index}[\"{label}\"]"),
            StepKind::Approve { .. } => writeln!(text, "  s{index}{{\"{label}\"}}"),
            StepKind::Manual { .. } => writeln!(text, "  s{index}[/\"{label}\"/]"),
        };
    }
    for (index, step) in plan.steps.iter().enumerate() {
        for need in &step.needs {
            let _ = writeln!(text, "  s{need} --> s{index}");
        }
    }
    text
}

fn edges(plan: &Plan) -> impl Iterator<Item = (&str, &str)> {
    plan.steps.iter().flat_map(|step| step.needs.iter().map(|need| (plan.steps[*need].id.as_str(), step.id.as_str())))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
