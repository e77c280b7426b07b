//! Which drill a step means: a drill of this binary by its name, or a file, relative to the runbook with the step.

use std::path::{Path, PathBuf};

use lifeboat_core::{
    name::StepId,
    plan::{CallIndex, Plan},
};
use serde_json::Value;

use crate::{drill::DrillRequest, testbed::Backend};

/// The argument of [`DrillRequest::new`] for a drill that a runbook in that folder names.
pub(super) fn seen_from(folder: &Path, scenario: &str) -> String {
    if DrillRequest::built_in().any(|known| known.eq_ignore_ascii_case(scenario)) {
        return scenario.to_owned();
    }
    folder.join(scenario).display().to_string()
}

/// The testbed that the parameters of a step name; by default that of `lifeboat drill`.
pub(super) fn testbed(parameters: &Value) -> Result<Backend, String> {
    match parameters.get("testbed").and_then(Value::as_str) {
        None => Ok(Backend::Process),
        Some(word) => {
            let both = [Backend::Process, Backend::Container];
            let named = both.into_iter().find(|backend| backend.as_str() == word);
            named.ok_or_else(|| format!("there is no testbed `{word}`; use `process` or `container`"))
        }
    }
}

/// The folder of the runbook that contains a step of the plan or an item of that step: the path of a called runbook is relative to
/// the calling one. `runbook`: the path of the plan's own runbook.
pub(super) fn folder(plan: &Plan, runbook: &Path, step: &StepId) -> PathBuf {
    let (name, _item) = step.as_str().split_once('[').unwrap_or((step.as_str(), ""));
    let planned = plan.steps.iter().find(|planned| planned.id.as_str() == name);
    let file = file(plan, runbook, planned.and_then(|planned| planned.within));
    file.parent().map(PathBuf::from).unwrap_or_default()
}

fn file(plan: &Plan, runbook: &Path, within: Option<CallIndex>) -> PathBuf {
    match within.and_then(|call| plan.called.get(call)) {
        None => runbook.to_owned(),
        Some(call) => file(plan, runbook, call.within).parent().unwrap_or(Path::new("")).join(&call.file),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lifeboat_core::{
        action::Catalogue,
        diagnostic::SourceFile,
        runbook::{Files, compile_with},
    };
    use serde_json::json;

    use super::*;
    use crate::drill::hold_action;

    /// Runbooks by how others name them.
    struct Shelf(BTreeMap<&'static str, &'static str>);

    impl Files for Shelf {
        fn file(&self, _from: &str, path: &str) -> Result<SourceFile, String> {
            let text = self.0.get(path).ok_or("not there")?;
            Ok(SourceFile { name: path.to_owned(), text: (*text).to_owned() })
        }
    }

    #[test]
    fn a_step_of_a_called_runbook_is_seen_from_there() {
        let outer = "lifeboat: 1\nid: A\nname: A\nsteps:\n  - { id: own, drill: { scenario: x.yaml } }\n  \
            - { id: all, runbook: inner/b.yaml }\n";
        let middle = "lifeboat: 1\nid: B\nname: B\nsteps:\n  - { id: deep, runbook: ../other/c.yaml }\n";
        let inner = "lifeboat: 1\nid: C\nname: C\ninputs: { names: { type: list<string>, default: [] } }\nsteps:\n  \
            - { id: each, for_each: inputs.names, drill: { scenario: \"${{ item }}\" } }\n";
        let shelf = Shelf(BTreeMap::from([("inner/b.yaml", middle), ("../other/c.yaml", inner)]));
        let file = SourceFile { name: "a.yaml".to_owned(), text: outer.to_owned() };
        let compiled = compile_with(&file, &Catalogue::new([hold_action()]), &shelf);
        let plan = compiled.plan.unwrap_or_else(|| panic!("{:?} {:?}", compiled.diagnostics, compiled.called));
        let check = |step: &str, expected: &str| {
            let found = folder(&plan, Path::new("/srv/runbooks/a.yaml"), &StepId::parse(step).unwrap());
            assert_eq!(found, Path::new(expected), "{step}");
        };
        check("own", "/srv/runbooks");
        check("all/deep/each", "/srv/runbooks/inner/../other");
        check("all/deep/each[3]", "/srv/runbooks/inner/../other");
    }

    #[test]
    fn a_drill_of_the_binary_is_where_the_binary_is() {
        assert_eq!(seen_from(Path::new("/srv"), "DR-003"), "DR-003");
        assert_eq!(seen_from(Path::new("/srv"), "drills/x.yaml"), "/srv/drills/x.yaml");
        assert_eq!(seen_from(Path::new(""), "x.yaml"), "x.yaml");
    }

    #[test]
    fn a_testbed_has_one_of_two_names() {
        assert_eq!(testbed(&json!({})), Ok(Backend::Process));
        assert_eq!(testbed(&json!({ "testbed": "container" })), Ok(Backend::Container));
        assert!(testbed(&json!({ "testbed": "cloud" })).is_err());
    }
}
