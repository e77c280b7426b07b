//! Expressions: checked while compiling, evaluated over a run, with an answer or an error, in bounded time and memory.

use lifeboat_core::{
    expression::RESULT_BYTES_MAX,
    input::{Done, Input, Purpose},
    name::StepId,
    run::Run,
};
use serde_json::{Value, json};

use super::world::{found, plan, started, take};

/// Longer texts are another target's business.
const LENGTH_MAX: usize = 5000;

/// A text as a condition, as a value and within a message.
pub(crate) fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.len() > LENGTH_MAX {
        return;
    }
    let value = format!("${{{{ {text} }}}}");
    evaluate(&json!(text), &json!("go on?"), &json!(1));
    evaluate(&json!("true"), &json!(format!("about {value}, {text}")), &json!([value]));
}

fn evaluate(when: &Value, message: &Value, rows: &Value) {
    let steps = json!([
        {"id": "find", "uses": "test/find", "with": {"server": "db"}},
        {"id": "write", "needs": ["find"], "uses": "test/write", "with": {"server": "db", "rows": rows}, "when": when},
        {"id": "ask", "needs": ["find"], "approve": {"message": message}},
    ]);
    let inputs = json!({
        "n": {"type": "int"}, "text": {"type": "string"}, "since": {"type": "timestamp"}, "wait": {"type": "duration"},
        "list": {"type": "list<int>"}, "any": {"type": "json"},
    });
    let runbook = json!({
        "lifeboat": 1, "id": "F", "name": "F", "inputs": inputs, "steps": steps,
        "targets": {"db": {"kind": "postgres", "access": "write"}},
    });
    // JSON is YAML.
    let Some(plan) = plan(&runbook.to_string()) else { return };
    let given = json!({
        "n": 3, "text": "x".repeat(3000), "since": "2026-11-21T04:00:00.5Z", "wait": "1h30m",
        "list": (0..200).collect::<Vec<_>>(), "any": {"a": [1, {"b": null}]},
    });
    let mut run = Run::new(&plan);
    take(&plan, &mut run, &Input::Start(Box::new(started(&plan, given))));
    let find = StepId::new("find").expect("a name");
    let done = Done { outputs: found(), summary: String::new() };
    let answer = Input::Answered { step: find, attempt: 1, purpose: Purpose::Run, answer: Ok(done) };
    for event in take(&plan, &mut run, &answer) {
        let size = serde_json::to_string(&event).expect("an event can be journalled").len();
        assert!(size < 8 * RESULT_BYTES_MAX, "an event of {size} bytes");
    }
}
