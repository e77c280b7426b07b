//! Plans, actions and starts that are sketched in code, for tests and benchmarks: a step takes a line, and needs no runbook, no bindings
//! and no plugin. Every crate takes them from here, so that a new field of a plan has one place to be filled in.
//!
//! What runs in earnest is made by [`compile`](crate::runbook::compile), and nothing of that calls this module. Names stand in the code
//! of a test: one that breaks the rules is a mistake in the test, and panics.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    action::{Action, Effect, Field},
    event::{Mode, Person, RunStarted},
    expression::Template,
    failure::FailureKind,
    name::{ActionName, RunId, StepId},
    plan::{Invocation, Objectives, OnFailure, Plan, Retry, RunbookRef, Section, Step, StepKind},
};

/// What an engine may do after a call whose end it did not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Run it again.
    Idempotent,
    /// Ask the plugin.
    Observable,
    /// Ask a person.
    Opaque,
}

/// The name of a step.
#[track_caller]
pub fn id(text: &str) -> StepId {
    StepId::new(text).expect("a name of a step")
}

/// Changes something by the action `test/ACTION`, without parameters and targets.
#[track_caller]
pub fn invocation(action: &str, repeat: Repeat) -> Invocation {
    Invocation {
        action: ActionName::new(&format!("test/{action}")).expect("a name of an action"),
        with: BTreeMap::new(),
        grants: BTreeMap::new(),
        effect: Effect::Mutate,
        idempotent: repeat == Repeat::Idempotent,
        observable: repeat == Repeat::Observable,
        parameters: BTreeMap::new(),
        outputs: BTreeMap::new(),
    }
}

/// A step without conditions, limits and a way back, behind the steps at these places of its plan. It is tried once.
#[track_caller]
pub fn step(name: &str, needs: &[usize], kind: StepKind) -> Step {
    Step {
        id: id(name),
        title: None,
        needs: needs.to_vec(),
        kind,
        when: None,
        timeout: None,
        time_limit: None,
        estimate: None,
        retry: Retry::default(),
        undo: None,
        on_failure: OnFailure::Stop,
        within: None,
        line: 1,
        section: Section::Steps,
        each: None,
        variant: None,
    }
}

/// A step that runs the action of its own name. It is tried up to five times, where it fails for the moment or is interrupted.
#[track_caller]
pub fn uses(name: &str, needs: &[usize], repeat: Repeat) -> Step {
    tried_again(step(name, needs, StepKind::Uses(invocation(name, repeat))))
}

fn tried_again(step: Step) -> Step {
    let on = vec![FailureKind::Transient, FailureKind::Interrupted];
    Step { retry: Retry { attempts: 5, on, ..Retry::default() }, ..step }
}

/// A question that anybody may answer, once and at any time.
pub fn question(message: &str) -> StepKind {
    StepKind::Approve { by: Vec::new(), message: Template::new(message), four_eyes: false, expires: None }
}

/// A step that waits for an approval. Changed to another kind of step, it is tried as often as [`uses`] is.
#[track_caller]
pub fn approve(name: &str, needs: &[usize]) -> Step {
    tried_again(step(name, needs, question("Go on?")))
}

/// The same step with a way back, which can be repeated.
#[track_caller]
pub fn with_undo(mut step: Step) -> Step {
    step.undo = Some(invocation(&format!("undo-{}", step.id), Repeat::Idempotent));
    step
}

/// The same step, whose failure has everything taken back.
pub fn or_undo(mut step: Step) -> Step {
    step.on_failure = OnFailure::Undo;
    step
}

/// A plan of these steps, which must stand behind those that they need.
pub fn plan(steps: Vec<Step>) -> Plan {
    Plan {
        runbook: RunbookRef { id: "DR-003".to_owned(), name: "Test".to_owned(), digest: "sha256:0".to_owned() },
        objectives: Objectives::default(),
        every: None,
        inputs: BTreeMap::new(),
        targets: BTreeMap::new(),
        steps,
        called: Vec::new(),
        variant: None,
    }
}

/// `count` steps that can be repeated, `step-0`, `step-1` and so on, each behind the one before it.
pub fn chain(count: usize) -> Plan {
    let needs = |place: usize| place.checked_sub(1).into_iter().collect::<Vec<_>>();
    plan((0..count).map(|place| uses(&format!("step-{place}"), &needs(place), Repeat::Idempotent)).collect())
}

/// How a real run of the plan starts, without inputs, targets and people, in the first format of the journal.
pub fn started(plan: &Plan, run: &RunId) -> RunStarted {
    RunStarted {
        run: run.clone(),
        format: 1,
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

/// Parameters or outputs: the name and the type of each, as a manifest writes it. `since?` may be left out.
pub type Fields<'a> = &'a [(&'a str, &'a str)];

/// An action that a runbook of a test uses.
#[track_caller]
pub fn action(name: &str, effect: Effect, repeat: Repeat, parameters: Fields<'_>, outputs: Fields<'_>) -> Action {
    Action {
        name: ActionName::new(name).expect("a name of an action"),
        doc: format!("{name} of the tests."),
        parameters: parameters.iter().map(field).collect(),
        outputs: outputs.iter().map(field).collect(),
        effect,
        idempotent: repeat == Repeat::Idempotent,
        observable: repeat == Repeat::Observable,
    }
}

#[track_caller]
fn field((name, ty): &(&str, &str)) -> Field {
    let (name, required) = name.strip_suffix('?').map_or((*name, true), |name| (name, false));
    Field { name: name.to_owned(), doc: format!("The {name}."), ty: ty.parse().expect("a type"), required }
}
