//! A plan as a document, which systems it would touch, and how long its drills usually take.

use lifeboat_core::{
    action::Effect,
    bindings::Bindings,
    name::RoleName,
    plan::{Invocation, Plan, Step, StepKind},
};
use serde::Serialize;

use crate::{
    elapsed,
    history::{Holding, UsualLength, usual_length},
};

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

/// A drill that one step would hold, with what the history tells of its length.
#[derive(Debug, Serialize)]
pub struct Rehearsal {
    /// The step.
    pub step: String,
    /// What the runbook says; an expression where only the run tells.
    pub scenario: String,
    /// The drill's name in reports and in the history; `None` where only the run tells which it is.
    pub drill: Option<String>,
    /// `process` or `container`.
    pub testbed: String,
    /// How long it usually takes there; `None` where that is not known.
    pub usual_length: Option<UsualLength>,
    /// How often it was held there.
    pub held: usize,
}

impl Rehearsal {
    /// The same with what the history knows.
    #[must_use]
    pub fn with_history(self, holdings: &[Holding]) -> Self {
        let Some(drill) = &self.drill else { return self };
        let is_meant = |holding: &&Holding| holding.drill == *drill && holding.backend == self.testbed;
        let held = holdings.iter().filter(is_meant).count();
        Self { usual_length: usual_length(holdings, drill, &self.testbed), held, ..self }
    }

    /// How long it would take, for people. What is not known is never a number.
    pub fn length(&self) -> String {
        match (&self.usual_length, &self.drill, self.held) {
            (Some(UsualLength { median_s, holdings: 1 }), ..) => format!("{} (held once)", elapsed::seconds(*median_s)),
            (Some(UsualLength { median_s, holdings }), ..) => {
                format!("{} (median of the last {holdings})", elapsed::seconds(*median_s))
            }
            (None, None, _) => "not known: the run tells which drill it is".to_owned(),
            (None, Some(_), 0) => "not known: never held there".to_owned(),
            (None, Some(_), _) => "not known: earlier versions did not keep it".to_owned(),
        }
    }
}

/// A plan as other programs read it.
#[derive(Debug, Serialize)]
pub struct PlanDocument<'a> {
    format: &'static str,
    digest: String,
    plan: &'a Plan,
    #[serde(skip_serializing_if = "Option::is_none")]
    touches: Option<Vec<Touch<'a>>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rehearsals: &'a [Rehearsal],
}

/// The document; `touches` where it is known which systems play the roles.
pub fn document<'a>(plan: &'a Plan, touches: Option<Vec<Touch<'a>>>, rehearsals: &'a [Rehearsal]) -> PlanDocument<'a> {
    PlanDocument { format: "lifeboat.plan/1", digest: plan.digest(), plan, touches, rehearsals }
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
        StepKind::Approve { .. } => None,
    };
    own.into_iter().chain(&step.undo)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::history::holdings;

    #[test]
    fn a_length_is_that_of_the_history_or_not_known_and_never_nothing() {
        let line = |length: Option<f64>| {
            json!({ "at": "2026-11-21T12:00:00Z", "drill": "DR-003", "run": "x", "verdict": "met", "backend": "process",
                "length_s": length })
        };
        let check = |drill: Option<&str>, testbed: &str, lines: &[Option<f64>], expected: &str| {
            let rehearsal = Rehearsal {
                step: "rehearse".to_owned(),
                scenario: "dr-003".to_owned(),
                drill: drill.map(str::to_owned),
                testbed: testbed.to_owned(),
                usual_length: None,
                held: 0,
            };
            let rehearsal = rehearsal.with_history(&holdings(lines.iter().map(|length| line(*length)).collect()));
            assert_eq!(rehearsal.length(), expected);
        };
        let known = Some("DR-003");
        check(known, "process", &[Some(83.0)], "1m 23s (held once)");
        check(known, "process", &[Some(83.0), None, Some(95.0)], "1m 29s (median of the last 2)");
        check(known, "process", &[None, None], "not known: earlier versions did not keep it");
        check(known, "container", &[Some(83.0)], "not known: never held there");
        check(None, "process", &[Some(83.0)], "not known: the run tells which drill it is");
    }
}
