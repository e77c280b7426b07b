//! Handlers: what is done when the recovery has ended, and what they can say about it.

use jiff::Timestamp;
use lifeboat_core::{
    decide::advance,
    event::{Event, Person},
    failure::{Failure, Reason},
    graph,
    input::{Done, Input, Purpose},
    name::StepId,
    plan::{Plan, Section},
    run::Run,
    runbook::compile,
};
use serde_json::{Value, json};

use crate::{catalogue::catalogue, runbooks::found, started, text};

const HEAD: &str = "\
lifeboat: 1
id: T
name: T
targets: { db: { kind: postgres, access: write }, people: { kind: notify } }
steps:
  - { id: write, uses: test/write, with: { server: db } }
";

const HANDLERS: &str = "on_failure:
  - { id: look, uses: test/find, with: { server: db, table: a } }
  - { id: page, uses: test/tell, with: { channel: people, message: '${{ run.failed_step }}: ${{ run.failure }} (${{ steps.look.outputs.xid }})' } }
finally:
  - { id: tell, uses: test/tell, with: { channel: people, message: 'It ${{ run.outcome }}. ${{ run.failure + \"!\" }}' } }
";

fn plan(source: &str) -> Plan {
    let compiled = compile(&text(source), &catalogue());
    compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
}

#[test]
fn handlers_stand_behind_the_steps_and_need_only_each_other() {
    let plan = plan(&format!("{HEAD}{HANDLERS}"));
    let steps: Vec<_> = plan.steps.iter().map(|step| (step.id.as_str(), step.section, step.needs.clone())).collect();
    assert_eq!(
        steps,
        [
            ("write", Section::Steps, vec![]),
            ("look", Section::OnFailure, vec![]),
            ("page", Section::OnFailure, vec![1]),
            ("tell", Section::Finally, vec![]),
        ]
    );
    insta::assert_snapshot!("handlers-tree", graph::tree(&plan));
}

/// What the handlers were given, where the step of the recovery ends so.
fn told(answer: Result<(), Failure>, abort: bool) -> Vec<Value> {
    let plan = plan(&format!("{HEAD}{HANDLERS}"));
    let at: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a time");
    let done = || Done { outputs: json!({ "xid": "734" }), summary: String::new() };
    let (mut run, mut said) = (Run::new(&plan), Vec::new());
    let mut inputs = vec![Input::Start(Box::new(started(&plan)))];
    while let Some(input) = inputs.pop() {
        for event in advance(&plan, &mut run, &input, at) {
            let Event::StepStarted { step, attempt, parameters, .. } = event else { continue };
            let recovery = step == StepId::new("write").expect("a name");
            if recovery && abort {
                inputs
                    .push(Input::Abort { who: Person::User { name: "ann".to_owned() }, reason: "a drill".to_owned() });
                continue;
            }
            said.extend(parameters.get("message").cloned());
            let answer = if recovery { answer.clone().map(|()| done()) } else { Ok(done()) };
            inputs.push(Input::Answered { step, attempt, purpose: Purpose::Run, answer });
        }
    }
    said
}

#[test]
fn handlers_know_how_it_ended() {
    assert_eq!(told(Ok(()), false), ["It succeeded. !"]);
    let lost = Failure::Permanent(Reason::new("test", "the disk is gone"));
    assert_eq!(told(Err(lost), false), ["write: the disk is gone (734)", "It failed. the disk is gone!"]);
    assert_eq!(told(Ok(()), true), [": ended by ann: a drill (734)", "It aborted. ended by ann: a drill!"]);
}

#[test]
fn what_a_handler_cannot_have_is_found() {
    let tell = "uses: test/tell, with: { channel: people, message: x }";
    for (handlers, wanted) in [
        (format!("finally:\n  - {{ id: a, {tell}, on_failure: stop }}\n"), vec!["LB0041 on_failure"]),
        (format!("finally:\n  - {{ id: a, {tell}, undo: {{ {tell} }} }}\n"), vec!["LB0041 undo"]),
        (format!("finally:\n  - {{ id: write, {tell} }}\n"), vec!["LB0020 write"]),
        (format!("finally:\n  - {{ id: a, {tell}, needs: [write] }}\n"), vec!["LB0021 write"]),
        (format!("finally:\n  - {{ id: a, {tell}, when: steps.write.outputs.x }}\n"), vec!["LB0034 write"]),
        (format!("finally:\n  - {{ id: a, {tell}, when: run.result == 'x' }}\n"), vec!["LB0031 result"]),
        (
            format!(
                "on_failure:\n  - {{ id: a, {tell} }}\nfinally:\n  - {{ id: b, {tell}, when: steps.a.outputs.x }}\n"
            ),
            vec!["LB0034 a"],
        ),
        (format!("finally:\n  - {{ id: a, {tell}, with: {{ a: 1 }} }}\n"), vec!["LB0005 with"]),
    ] {
        let found: Vec<_> =
            found(&format!("{HEAD}{handlers}")).into_iter().filter(|line| line != "LB0040 people").collect();
        assert_eq!(found, wanted, "{handlers}");
    }
    let early = format!("{HEAD}  - {{ id: a, {tell}, when: run.outcome == 'failed' }}\n");
    assert_eq!(found(&early), ["LB0031 outcome"]);
}
