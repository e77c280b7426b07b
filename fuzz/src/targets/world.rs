//! What the targets have in common: actions, a start, and an engine without a world around it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lifeboat_core::{
    action::{Action, Catalogue, Effect, Field},
    decide::decide,
    diagnostic::SourceFile,
    due::due,
    event::{Event, Mode, Person, RunStarted},
    input::Input,
    name::{ActionName, RoleName, RunId},
    plan::Plan,
    run::Run,
    runbook,
};
use serde_json::{Value, json};

fn fields(list: &[(&str, &str, bool)]) -> Vec<Field> {
    let field = |(name, ty, required): &(&str, &str, bool)| Field {
        name: (*name).to_owned(),
        doc: String::new(),
        ty: ty.parse().expect("a type"),
        required: *required,
    };
    list.iter().map(field).collect()
}

type Fields<'a> = &'a [(&'a str, &'a str, bool)];

fn action(name: &str, effect: Effect, parameters: Fields<'_>, outputs: Fields<'_>) -> Action {
    Action {
        name: ActionName::new(name).expect("a name"),
        doc: String::new(),
        parameters: fields(parameters),
        outputs: fields(outputs),
        effect,
        idempotent: effect == Effect::Read,
        observable: effect == Effect::Mutate,
    }
}

/// What `test/find` gives.
pub(crate) const OUTPUTS: Fields<'static> = &[
    ("at", "timestamp", true),
    ("rows", "int", true),
    ("tables", "map<record{rows: int, name?: string}>", true),
    ("choice", "one_of{latest: bool, before: timestamp, within: duration}", false),
    ("list", "list<float>", false),
    ("any", "json", false),
];

/// An action of each effect, with every kind of type.
pub(crate) fn catalogue() -> Catalogue {
    let server = |access: &str| format!("target<postgres:{access}>");
    Catalogue::new([
        action("test/find", Effect::Read, &[("server", &server("read"), true), ("since", "timestamp", false)], OUTPUTS),
        action("test/write", Effect::Mutate, &[("server", &server("write"), true), ("rows", "json", false)], &[]),
        action("test/drop", Effect::Destroy, &[("server", &server("destroy"), true)], &[]),
        action(
            "test/tell",
            Effect::Mutate,
            &[("channel", "target<notify:write>", true), ("message", "string", true)],
            &[],
        ),
    ])
}

/// The outputs that a well-behaved `test/find` gives.
pub(crate) fn found() -> Value {
    json!({
        "at": "2026-11-21T03:00:00Z", "rows": 7, "tables": {"a": {"rows": 1}, "b": {"rows": 2, "name": "ä"}},
        "choice": {"within": "5m"}, "list": [1, 2.5], "any": {"x": [null, "y"]},
    })
}

/// The plan of a runbook that may be wrong.
pub(crate) fn plan(text: &str) -> Option<Plan> {
    runbook::compile(&SourceFile { name: "runbook.yaml".to_owned(), text: text.to_owned() }, &catalogue()).plan
}

/// The event with which a run of the plan begins.
pub(crate) fn started(plan: &Plan, inputs: Value) -> RunStarted {
    RunStarted {
        run: RunId::new("fuzz-1").expect("a name"),
        format: lifeboat_runtime::journal::FORMAT,
        runbook: plan.runbook.clone(),
        plan_digest: plan.digest(),
        engine: String::new(),
        inputs,
        targets: BTreeMap::from([(RoleName::new("db").expect("a name"), json!({"kind": "postgres", "port": 5432}))]),
        mode: Mode::Real,
        who: Person::Engine,
        people: BTreeMap::new(),
        onset: None,
    }
}

/// When everything happens.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

/// Decides and applies, as the driver does: what is decided is legal.
pub(crate) fn take(plan: &Plan, run: &mut Run, input: &Input) -> Vec<Event> {
    let events = decide(plan, run, input, now());
    for event in &events {
        run.apply(now(), event).unwrap_or_else(|illegal| panic!("{event:?} was decided and is illegal: {illegal}"));
    }
    let _ = due(plan, run, now());
    events
}
