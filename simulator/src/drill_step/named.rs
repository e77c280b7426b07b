//! The drills that a plan would hold, for those who show it.

use std::path::Path;

use lifeboat_core::{
    name::StepId,
    plan::{Plan, Step},
};
use serde_json::{Value, json};

use super::scenario::{folder, seen_from, testbed};
use crate::{
    drill::{DrillRequest, HOLD},
    testbed::Backend,
};

/// A drill that a step of a plan would hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedDrill {
    /// The step.
    pub step: StepId,
    /// The text in the runbook; an expression if only the run decides.
    pub scenario: String,
    /// The name in reports and in the history; `None` if only the run decides which drill it is, or if its file cannot be read.
    pub drill: Option<String>,
    /// The testbed of the drill.
    pub backend: Backend,
}

/// The drills of a plan, in its order. `runbook`: the path of the runbook.
pub fn drills(plan: &Plan, runbook: &Path) -> Vec<NamedDrill> {
    plan.steps.iter().filter_map(|step| named(plan, runbook, step)).collect()
}

fn named(plan: &Plan, runbook: &Path, step: &Step) -> Option<NamedDrill> {
    let action = step.action().filter(|action| action.action.to_string() == HOLD)?;
    let parameter = |name: &str| action.with.get(name).map_or(Value::Null, |given| given.as_value().clone());
    let scenario = parameter("scenario").as_str().unwrap_or_default().to_owned();
    let request = DrillRequest::new(&seen_from(&folder(plan, runbook, &step.id), &scenario), "");
    Some(NamedDrill {
        step: step.id.clone(),
        drill: request.ok().map(|request| request.spec.drill),
        backend: testbed(&json!({ "testbed": parameter("testbed") })).unwrap_or(Backend::Process),
        scenario,
    })
}

#[cfg(test)]
mod tests {
    use lifeboat_core::{action::Catalogue, diagnostic::SourceFile, runbook::compile};

    use super::*;
    use crate::drill::hold_action;

    #[test]
    fn each_drill_of_a_plan_has_the_name_that_the_history_has() {
        let text = "lifeboat: 1\nid: A\nname: A\ninputs: { which: { type: string } }\nsteps:\n  \
            - { id: ask, approve: { message: Go on? } }\n  \
            - { id: known, drill: { scenario: dr-003, testbed: container } }\n  \
            - { id: later, drill: { scenario: \"${{ inputs.which }}\" } }\n";
        let file = SourceFile { name: "a.yaml".to_owned(), text: text.to_owned() };
        let plan = compile(&file, &Catalogue::new([hold_action()])).plan.unwrap();
        let found = drills(&plan, Path::new("a.yaml"));
        let rows: Vec<_> = found
            .iter()
            .map(|it| (it.step.as_str(), it.scenario.as_str(), it.drill.as_deref(), it.backend.as_str()))
            .collect();
        let later = ("later", "${{ inputs.which }}", None, "process");
        assert_eq!(rows, [("known", "dr-003", Some("DR-003"), "container"), later]);
    }
}
