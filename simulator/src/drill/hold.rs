//! The action `drill/hold`, which the `drill` steps of a runbook run: its declaration, and the steps of a plan that run it.
//! [`crate::drill_step`] serves it.

use lifeboat_core::{
    action::{Action, Effect, Field},
    name::ActionName,
    plan::{Invocation, Plan, Step},
};

use super::error::DrillError;

/// The name of the action.
pub const HOLD: &str = "drill/hold";

/// The action as a plugin would declare it. It touches only systems of its own, so it is idempotent and its effect is `read`.
pub fn hold_action() -> Action {
    let interval = "record{low: float, high?: float}";
    let name = ActionName::new(HOLD).unwrap_or_else(|error| unreachable!("it is a name: {error}"));
    Action {
        name,
        doc: "Holds a drill on systems of its own, and succeeds if its verdict is `met`. A missed drill fails with \
              `drill-missed`, an unmeasured one with `drill-unmeasured`."
            .to_owned(),
        parameters: vec![
            field(
                "scenario",
                "string",
                true,
                "A drill by its name, or the path of a drill file, relative to the runbook.",
            ),
            field("testbed", "string", false, "`process` or `container`; by default `process`."),
            field(
                "controls",
                "bool",
                false,
                "Also hold the negative controls, and the run without a fault; by default `false`.",
            ),
        ],
        outputs: vec![
            field("drill", "string", true, "The drill's name, as reports and `lifeboat history` show it."),
            field("verdict", "string", true, "`met`; with any other verdict the step fails."),
            field("run", "string", true, "The run of the drill's first recovery, for `lifeboat report`."),
            field("report", "string", true, "The path of its `report.json`."),
            field("rto_s", interval, false, "Seconds of the longest recovery; absent if it was not measured."),
            field("rpo_s", interval, false, "Seconds of writes that it lost; absent if they were not measured."),
        ],
        effect: Effect::Read,
        idempotent: true,
        observable: false,
    }
}

pub(crate) fn field(name: &str, ty: &str, required: bool, doc: &str) -> Field {
    let ty = ty.parse().unwrap_or_else(|error| unreachable!("`{ty}` is a type: {error}"));
    Field { name: name.to_owned(), doc: doc.to_owned(), ty, required }
}

/// Refuses a plan that holds a drill: a drill that held itself would never end.
///
/// # Errors
/// [`DrillError::Nested`], with the first such step.
pub(super) fn refuse_nested(plan: &Plan) -> Result<(), DrillError> {
    let holds = |invocation: &Invocation| invocation.action.to_string() == HOLD;
    let calls = |step: &Step| step.action().into_iter().chain(step.verify()).chain(&step.undo).any(holds);
    match plan.steps.iter().find(|step| calls(step)) {
        None => Ok(()),
        Some(step) => Err(DrillError::Nested { runbook: plan.runbook.id.clone(), step: step.id.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::{action::Catalogue, diagnostic::SourceFile, runbook::compile};

    use super::*;

    #[test]
    fn a_plan_that_holds_a_drill_anywhere_is_refused() {
        let check = |step: &str, expected: Option<&str>| {
            let head = "lifeboat: 1\nid: A\nname: A\nsteps:\n  - { id: ask, approve: { message: Go on? } }\n";
            let file = SourceFile { name: "a.yaml".to_owned(), text: format!("{head}  - {{ id: last, {step} }}\n") };
            let compiled = compile(&file, &Catalogue::new([hold_action()]));
            let plan = compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
            let refused = refuse_nested(&plan).err();
            assert_eq!(refused.as_ref().map(DrillError::code), expected, "{step}");
            assert!(refused.is_none_or(|error| error.to_string().contains("`last`")));
        };
        check("approve: { message: Really? }", None);
        check("drill: { scenario: dr-003 }", Some("drill-nested"));
        check("uses: drill/hold, with: { scenario: dr-003 }", Some("drill-nested"));
        check("manual: { instruction: x, verify: { uses: drill/hold, with: { scenario: x } } }", Some("drill-nested"));
        let undo = "approve: { message: x }, undo: { uses: drill/hold, with: { scenario: x } }";
        check(undo, Some("drill-nested"));
    }
}
