//! What the targets have in common: actions, a start, and an engine without a world around it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lifeboat_core::{
    action::{Catalogue, Effect},
    decide::decide,
    diagnostic::SourceFile,
    due::due,
    event::{Event, RunStarted},
    input::Input,
    name::{RoleName, RunId},
    plan::Plan,
    run::Run,
    runbook,
    sketch::{self, Fields, Repeat, action},
};
use serde_json::{Value, json};

/// What `test/find` gives.
pub(crate) const OUTPUTS: Fields<'static> = &[
    ("at", "timestamp"),
    ("rows", "int"),
    ("tables", "map<record{rows: int, name?: string}>"),
    ("choice?", "one_of{latest: bool, before: timestamp, within: duration}"),
    ("list?", "list<float>"),
    ("any?", "json"),
];

/// An action of each effect, with every kind of type.
pub(crate) fn catalogue() -> Catalogue {
    let server = |access: &str| format!("target<postgres:{access}>");
    Catalogue::new([
        action(
            "test/find",
            Effect::Read,
            Repeat::Idempotent,
            &[("server", &server("read")), ("since?", "timestamp")],
            OUTPUTS,
        ),
        action(
            "test/write",
            Effect::Mutate,
            Repeat::Observable,
            &[("server", &server("write")), ("rows?", "json")],
            &[],
        ),
        action("test/drop", Effect::Destroy, Repeat::Opaque, &[("server", &server("destroy"))], &[]),
        action(
            "test/tell",
            Effect::Mutate,
            Repeat::Observable,
            &[("channel", "target<notify:write>"), ("message", "string")],
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
    let db = json!({"kind": "postgres", "port": 5432});
    let targets = BTreeMap::from([(RoleName::new("db").expect("a name"), db)]);
    RunStarted { inputs, targets, ..sketch::started(plan, &RunId::new("fuzz-1").expect("a name")) }
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
