//! A plan as a document, and which systems it would touch.

use lifeboat_core::{
    action::Effect,
    bindings::Bindings,
    name::RoleName,
    plan::{Invocation, Plan, Step, StepKind},
};
use serde::Serialize;

/// What one step would do with one system.
#[derive(Debug, Serialize)]
pub struct Touch<'a> {
    /// The step.
    pub step: &'a str,
    /// The action that would do it: the step's own, its verification, or its undo.
    pub action: String,
    /// The role of the system.
    pub role: &'a RoleName,
    /// How far the action goes with it.
    pub effect: Effect,
    /// Where the system is; `None` where the bindings have nothing for the role.
    pub system: Option<String>,
}

/// A plan as other programs read it.
#[derive(Debug, Serialize)]
pub struct PlanDocument<'a> {
    format: &'static str,
    digest: String,
    plan: &'a Plan,
    #[serde(skip_serializing_if = "Option::is_none")]
    touches: Option<Vec<Touch<'a>>>,
}

/// The document; `touches` where it is known which systems play the roles.
pub fn document<'a>(plan: &'a Plan, touches: Option<Vec<Touch<'a>>>) -> PlanDocument<'a> {
    PlanDocument { format: "lifeboat.plan/1", digest: plan.digest(), plan, touches }
}

/// What each step would do with which system, in the order of the plan.
pub fn touches<'a>(plan: &'a Plan, bindings: &Bindings) -> Vec<Touch<'a>> {
    let of_step = |step: &'a Step| {
        invocations(step).flat_map(move |invocation| {
            invocation.grants.iter().map(move |(role, effect)| (step, invocation, role, *effect))
        })
    };
    let touch = |(step, invocation, role, effect): (&'a Step, &'a Invocation, &'a RoleName, Effect)| Touch {
        step: step.id.as_str(),
        action: invocation.action.to_string(),
        role,
        effect,
        system: bindings.targets.get(role).map(|binding| binding.system.location()),
    };
    plan.steps.iter().flat_map(of_step).map(touch).collect()
}

/// Everything that a step may call: itself, its verification, its undo.
fn invocations(step: &Step) -> impl Iterator<Item = &Invocation> {
    let own = match &step.kind {
        StepKind::Uses(invocation) => Some(invocation),
        StepKind::Manual { verify, .. } => verify.as_ref(),
        StepKind::Approve { .. } | StepKind::Drill { .. } => None,
    };
    own.into_iter().chain(&step.undo)
}
