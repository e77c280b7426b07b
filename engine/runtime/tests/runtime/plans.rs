//! Plans made by hand, so that these tests depend on no syntax.

use std::collections::BTreeMap;

use lifeboat_core::{
    action::Effect,
    event::{Mode, Person, RunStarted},
    expression::Template,
    failure::FailureKind,
    name::{ActionName, RunId, StepId},
    plan::{Invocation, Objectives, OnFailure, Plan, Retry, RunbookRef, Section, Step, StepKind},
};
use serde_json::{Value, json};

/// What an engine may do after a call whose end nobody saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Run it again.
    Idempotent,
    /// Ask the plugin.
    Observable,
    /// Ask a person.
    Opaque,
}

/// The step id, which must be one.
pub(crate) fn id(text: &str) -> StepId {
    StepId::new(text).unwrap()
}

/// The action `test/STEP` with that property.
pub(crate) fn invocation(action: &str, repeat: Repeat) -> Invocation {
    Invocation {
        action: ActionName::new(&format!("test/{action}")).unwrap(),
        with: BTreeMap::new(),
        grants: BTreeMap::new(),
        effect: Effect::Mutate,
        idempotent: repeat == Repeat::Idempotent,
        observable: repeat == Repeat::Observable,
        parameters: BTreeMap::new(),
        outputs: BTreeMap::new(),
    }
}

/// A step that runs the action of its own name, up to five times, after the steps it needs.
pub(crate) fn uses(name: &str, needs: &[usize], repeat: Repeat) -> Step {
    step(name, needs, StepKind::Uses(invocation(name, repeat)))
}

/// A step that waits for a yes.
pub(crate) fn approve(name: &str, needs: &[usize]) -> Step {
    step(
        name,
        needs,
        StepKind::Approve { by: Vec::new(), message: Template::new(json!("Go on?")), four_eyes: false, expires: None },
    )
}

/// The same step with a way back.
pub(crate) fn with_undo(mut step: Step) -> Step {
    step.undo = Some(invocation(&format!("undo-{}", step.id), Repeat::Idempotent));
    step
}

/// The same step, whose failure takes everything back.
pub(crate) fn or_undo(mut step: Step) -> Step {
    step.on_failure = OnFailure::Undo;
    step
}

fn step(name: &str, needs: &[usize], kind: StepKind) -> Step {
    Step {
        id: id(name),
        title: None,
        needs: needs.to_vec(),
        kind,
        when: None,
        timeout: None,
        time_limit: None,
        retry: Retry { attempts: 5, on: vec![FailureKind::Transient, FailureKind::Interrupted], ..Retry::default() },
        undo: None,
        on_failure: OnFailure::Stop,
        within: None,
        line: 1,
        section: Section::Steps,
        each: None,
        variant: None,
    }
}

/// A plan of these steps.
pub(crate) fn plan(steps: Vec<Step>) -> Plan {
    Plan {
        runbook: RunbookRef { id: "DR-003".to_owned(), name: "Test".to_owned(), digest: "sha256:0".to_owned() },
        objectives: Objectives::default(),
        inputs: BTreeMap::new(),
        targets: BTreeMap::new(),
        steps,
        called: Vec::new(),
        variant: None,
    }
}

/// `count` idempotent steps, one after the other.
pub(crate) fn chain(count: usize) -> Plan {
    let needs = |index: usize| if index == 0 { Vec::new() } else { vec![index - 1] };
    plan((0..count).map(|index| uses(&format!("step-{index}"), &needs(index), Repeat::Idempotent)).collect())
}

/// How a run of the plan starts.
pub(crate) fn started(plan: &Plan, run: &RunId) -> RunStarted {
    RunStarted {
        run: run.clone(),
        format: lifeboat_runtime::journal::FORMAT,
        runbook: plan.runbook.clone(),
        plan_digest: plan.digest(),
        engine: "0.0.0".to_owned(),
        inputs: Value::Object(serde_json::Map::new()),
        targets: BTreeMap::new(),
        mode: Mode::Real,
        who: Person::Engine,
        people: BTreeMap::new(),
        onset: None,
    }
}
