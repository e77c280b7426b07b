//! The problems of the drills that a runbook names, reported before anything runs. A drill that is named by an expression, which only a run
//! can evaluate, is left out.

use std::path::Path;

use lifeboat_core::{
    action::Catalogue,
    diagnostic::{Diagnostic, Severity, SourceFile},
    document::Document,
};
use lifeboat_launch::source::{Checked, Content};
use serde_json::Value;

use super::scenario::seen_from;
use crate::drill::{DrillError, DrillRequest, HOLD};

/// The keys of a runbook that contain steps.
const SECTIONS: [&str; 3] = ["steps", "on_failure", "finally"];
/// Where a step can have an action: its own, the check of manual work, and the undo.
const ACTIONS: [&[&str]; 3] = [&[], &["manual", "verify"], &["undo"]];

/// The runbook, with the problems of the drills that it and its called runbooks name. A runbook that names a drill that cannot be held
/// has no plan.
pub fn check(mut checked: Checked, catalogue: &Catalogue) -> Checked {
    if checked.plan().is_none() {
        return checked;
    }
    let found = problems(&checked.file, catalogue);
    let mut is_wrong = !found.is_empty();
    checked.diagnostics.extend(found);
    for called in &mut checked.called {
        let found = problems(&called.file, catalogue);
        is_wrong |= !found.is_empty();
        called.diagnostics.extend(found);
    }
    if is_wrong {
        checked.content = Content::Nothing;
    }
    checked
}

fn problems(file: &SourceFile, catalogue: &Catalogue) -> Vec<Diagnostic> {
    let document = Document::look_into(file);
    let folder = Path::new(&file.name).parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for path in named(&document) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let Some(scenario) = document.get::<String>(&path).filter(|scenario| !scenario.contains("${{")) else {
            continue;
        };
        if let Err(error) = can_be_held(&seen_from(folder, &scenario), catalogue) {
            found.push(diagnostic(&error, &document, &path));
        }
    }
    found
}

/// The paths of all scenarios that a runbook names.
fn named(document: &Document<'_>) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for section in SECTIONS {
        let steps = document.get::<Vec<Value>>(&[section]).unwrap_or_default();
        for (place, step) in steps.iter().enumerate() {
            let path = |keys: &[&str]| {
                let step = [section.to_owned(), place.to_string()];
                step.into_iter().chain(keys.iter().map(|key| (*key).to_owned())).collect()
            };
            if step.get("drill").is_some() {
                found.push(path(&["drill", "scenario"]));
            }
            for action in ACTIONS {
                let node = action.iter().try_fold(step, |node, key| node.get(key));
                if node.is_some_and(|node| node["uses"] == HOLD) {
                    found.push(path(&[action, &["with", "scenario"]].concat()));
                }
            }
        }
    }
    found
}

fn can_be_held(scenario: &str, catalogue: &Catalogue) -> Result<(), DrillError> {
    let request = DrillRequest::new(scenario, "").map_err(|error| error.with_runbooks(catalogue))?;
    request.check(catalogue)
}

fn diagnostic(error: &DrillError, document: &Document<'_>, path: &[&str]) -> Diagnostic {
    let (label, help) = match error {
        DrillError::UnknownDrill { .. } => {
            let help = "name a drill of this binary, or the path of a drill file, seen from this file";
            ("no such drill", Some(help.to_owned()))
        }
        DrillError::Diagnostics { file, .. } => {
            ("cannot be held", Some(format!("`lifeboat check {}` shows every problem with its place", file.name)))
        }
        DrillError::Nested { .. } => ("would never end", Some("write its step into this runbook".to_owned())),
        _ => ("cannot be held", None),
    };
    Diagnostic {
        code: error.code(),
        severity: Severity::Error,
        message: format!("this drill cannot be held: {error}"),
        span: document.place(path).unwrap_or_default(),
        label: label.to_owned(),
        help,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lifeboat_launch::source;
    use tempfile::TempDir;

    use super::*;
    use crate::drill::{self, hold_action};

    fn catalogue() -> Catalogue {
        Catalogue::new([hold_action()])
    }

    /// Checks the runbook in a folder with these files; returns each finding with the text that it underlines.
    fn found(folder: &TempDir, runbook: &str) -> Vec<(&'static str, String)> {
        let path = folder.path().join("a.yaml");
        fs::write(&path, format!("lifeboat: 1\nid: A\nname: A\nsteps:\n{runbook}")).unwrap();
        let checked = check(source::runbook(&path, &catalogue()).unwrap(), &catalogue());
        assert_eq!(checked.plan().is_none(), checked.count(Severity::Error) > 0);
        let under = |file: &SourceFile, found: &Diagnostic| file.text[found.span.start..found.span.end].to_owned();
        let all = checked.found().flat_map(|(file, found)| found.iter().map(move |it| (it.code, under(file, it))));
        all.collect()
    }

    /// A drill file whose runbook is that one.
    fn drill_of(runbook: &str) -> String {
        let shipped = include_str!("../../../workflows/drills/dr-003.yaml");
        shipped.replace("../dr-003-accidental-deletion.yaml", runbook)
    }

    #[test]
    fn a_drill_that_is_not_there_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let check = |steps: &str, expected: &[&str]| {
            let found = found(&folder, steps);
            assert!(found.iter().all(|(code, _)| *code == "drill-unknown"), "{found:?}");
            assert_eq!(found.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), expected, "{steps}");
        };
        check("  - { id: a, approve: { message: Go on? } }\n", &[]);
        check("  - { id: a, drill: { scenario: dr-999 } }\n", &["dr-999"]);
        check("  - { id: a, uses: drill/hold, with: { scenario: dr-999 } }\n", &["dr-999"]);
        check("  - { id: a, drill: { scenario: \"${{ run.id }}\" } }\n", &[]);
        let verified = "  - { id: a, manual: { instruction: x, verify: { uses: drill/hold, with: { scenario: one } } }, \
            undo: { uses: drill/hold, with: { scenario: two } } }\n";
        check(verified, &["one", "two"]);
        let handler = "  - { id: a, approve: { message: x } }\nfinally:\n  - { id: b, drill: { scenario: late } }\n";
        check(handler, &["late"]);
    }

    #[test]
    fn a_drill_is_seen_from_the_runbook_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        let inner = "lifeboat: 1\nid: B\nname: B\nsteps:\n  - { id: b, drill: { scenario: there.yaml } }\n";
        fs::write(folder.path().join("inner/b.yaml"), inner).unwrap();
        let calls = "  - { id: a, runbook: inner/b.yaml }\n";
        assert_eq!(found(&folder, calls), [("drill-unknown", "there.yaml".to_owned())]);
        // It is there now, and its runbook is not.
        fs::write(folder.path().join("inner/there.yaml"), drill_of("nowhere.yaml")).unwrap();
        assert_eq!(found(&folder, calls), [("drill-runbook", "there.yaml".to_owned())]);
    }

    #[test]
    fn a_drill_that_is_wrong_or_holds_a_drill_itself_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let step = "  - { id: a, drill: { scenario: d.yaml } }\n";
        let write = |text: String| fs::write(folder.path().join("d.yaml"), text).unwrap();
        write("lifeboat: 1\ndrill: X\n".to_owned());
        assert_eq!(found(&folder, step), [("drill-runbook", "d.yaml".to_owned())]);
        write(drill_of("a.yaml"));
        assert_eq!(found(&folder, step), [("drill-nested", "d.yaml".to_owned())]);
        let path = folder.path().join("d.yaml").display().to_string();
        let drill = SourceFile { text: fs::read_to_string(&path).unwrap(), name: path };
        let of_the_drill = drill::check(&drill, &Catalogue::default());
        assert!(of_the_drill.iter().any(|it| it.label == "would never end"), "{of_the_drill:?}");
    }
}
