//! Answers of plugins: held against what the action declares, and then safe for the journal and for expressions.

use lifeboat_core::{
    action::Field,
    input::{Done, Input, Observation, Purpose},
    name::{ActionName, StepId},
    outputs,
    run::Run,
};
use lifeboat_runtime::{
    driver::fold,
    journal::{Journal, read},
};
use serde_json::{Value, json};

use super::world::{catalogue, now, plan, started, take};

const RUNBOOK: &str = r#"
lifeboat: 1
id: F
name: Looks at every output
targets: { db: { kind: postgres, access: write } }
steps:
  - id: find
    uses: test/find
    with: { server: db }
  - id: write
    needs: [find]
    uses: test/write
    with: { server: db, rows: { all: "${{ steps.find.outputs }}", at: "${{ steps.find.outputs.at - duration('1h') }}" } }
    when: size(steps.find.outputs.tables) > 0 && steps.find.outputs.rows >= 0
  - id: ask
    needs: [find]
    approve: { message: "${{ steps.find.outputs.tables }} ${{ has(steps.find.outputs.list) }} ${{ steps.find.outputs.any.x }}" }
"#;

/// The text that a plugin answers with.
pub(crate) fn answer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let declared = declared();
    let Ok(outputs) = outputs::decode(text, &declared) else { return };
    for field in &declared {
        match &outputs[&field.name] {
            Value::Null => assert!(!field.required || field.ty == "json".parse().expect("a type")),
            value => field.ty.check(value).expect("what was accepted is of its type"),
        }
    }
    for observed in [false, true] {
        accepted(outputs.clone(), observed);
    }
}

fn declared() -> Vec<Field> {
    let find = ActionName::new("test/find").expect("a name");
    catalogue().get(&find).expect("an action").outputs.clone()
}

/// Whether a plugin may answer so.
#[cfg(test)]
pub(crate) fn is_answer(text: &str) -> bool {
    outputs::decode(text, &declared()).is_ok()
}

fn accepted(outputs: Value, observed: bool) {
    let plan = plan(RUNBOOK).expect("the runbook of this target is right");
    let mut run = Run::new(&plan);
    let step = StepId::new("find").expect("a name");
    let start = started(&plan, json!({}));
    let mut journal = Journal::begin(Vec::new(), &start.run);
    let done = Done { outputs, summary: "found".to_owned() };
    let mut inputs = vec![Input::Start(Box::new(start))];
    if observed {
        inputs.push(Input::Interrupted { step: step.clone() });
        inputs.push(Input::Observed {
            step: step.clone(),
            attempt: 1,
            observation: Ok(Observation::Done(done.clone())),
        });
    }
    for attempt in 1..=2 {
        inputs.push(Input::Answered { step: step.clone(), attempt, purpose: Purpose::Run, answer: Ok(done.clone()) });
    }
    for input in inputs {
        let events = take(&plan, &mut run, &input);
        journal.append(now(), &events).expect("memory takes everything");
    }
    let contents = read(journal.medium()).expect("what was written is read");
    assert_eq!(fold(&plan, &contents.records).expect("what was decided is legal"), run);
}
