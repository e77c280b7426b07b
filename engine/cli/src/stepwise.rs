//! `run --step`: an approval before each step that does something. The approvals are part of the plan and of the journal,
//! so the run asks again after it was resumed, and no deadline runs while a person thinks.

use lifeboat_core::{
    expression::Template,
    name::StepId,
    plan::{OnFailure, Plan, Retry, Step, StepIndex, StepKind},
};
use serde_json::Value;

/// The plan with a question before each action.
pub(crate) fn asking_before_each_step(plan: Plan) -> Plan {
    let taken: Vec<StepId> = plan.steps.iter().map(|step| step.id.clone()).collect();
    let mut steps = Vec::with_capacity(plan.steps.len() * 2);
    let mut moved: Vec<StepIndex> = Vec::with_capacity(plan.steps.len());
    for mut step in plan.steps {
        step.needs = step.needs.iter().map(|need| moved[*need]).collect();
        if let Some(gate) = gate(&step, &taken) {
            step.needs = vec![steps.len()];
            steps.push(gate);
        }
        moved.push(steps.len());
        steps.push(step);
    }
    Plan { steps, ..plan }
}

/// The question before a step; approvals and manual steps ask anyway.
fn gate(step: &Step, taken: &[StepId]) -> Option<Step> {
    let StepKind::Uses(invocation) = &step.kind else { return None };
    let touches: Vec<String> =
        invocation.grants.iter().map(|(role, effect)| format!("{} {role}", effect.access())).collect();
    let touches = if touches.is_empty() { "touches nothing".to_owned() } else { format!("may {}", touches.join(", ")) };
    let message = format!("Run `{}`? {} {touches}.", step.id, invocation.action);
    Some(Step {
        id: free_id(&step.id, taken)?,
        title: None,
        needs: step.needs.clone(),
        kind: StepKind::Approve { by: Vec::new(), message: text(&message)?, four_eyes: false, expires: None },
        when: step.when.clone(),
        timeout: None,
        time_limit: None,
        estimate: None,
        retry: Retry::default(),
        undo: None,
        on_failure: OnFailure::Stop,
        line: step.line,
        section: step.section,
        each: None,
        variant: None,
        within: step.within,
    })
}

/// A name that no step has: `go_restore`.
fn free_id(step: &StepId, taken: &[StepId]) -> Option<StepId> {
    let name: String = step.as_str().chars().map(|c| if c == '/' { '_' } else { c }).take(56).collect();
    let candidates = std::iter::once(format!("go_{name}")).chain((2..1_000).map(|n| format!("go{n}_{name}")));
    candidates.filter_map(|name| StepId::new(name).ok()).find(|id| !taken.contains(id))
}

/// A template without an expression; step ids and action names cannot hold one.
fn text(message: &str) -> Option<Template> {
    serde_json::from_value(Value::from(message)).ok()
}
