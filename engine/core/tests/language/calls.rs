//! Runbooks that call others: one plan comes of them, in which every name means what it means in its own file.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lifeboat_core::{
    decide::decide,
    diagnostic::{SourceFile, render},
    event::{Event, Mode, RunStarted},
    graph,
    input::{Done, Input, Purpose},
    name::{RoleName, StepId},
    plan::{OnFailure, Plan},
    run::Run,
    runbook::{Compiled, Files, compile_with},
};
use serde_json::{Value, json};

use crate::{catalogue::catalogue, started, text};

/// Files by their names.
struct Shelf(Vec<(String, String)>);

impl Files for Shelf {
    fn file(&self, _from: &str, path: &str) -> Result<SourceFile, String> {
        let found = self.0.iter().find(|(name, _)| name == path).ok_or("no such file")?;
        SourceFile::from_bytes(path, found.1.as_bytes()).map_err(|found| found.message)
    }
}

fn shelf(files: &[(&str, &str)]) -> Shelf {
    Shelf(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
}

const OUTER: &str = "\
lifeboat: 1
id: OUT
name: Outer
inputs: { schema: { type: string }, since: { type: timestamp } }
targets: { main: { kind: postgres, access: write }, people: { kind: notify } }
steps:
  - { id: look, uses: test/find, with: { server: main, table: '${{ inputs.schema }}.a', since: '${{ inputs.since }}' } }
";

const INNER: &str = "\
lifeboat: 1
id: IN
name: Inner
inputs: { table: { type: string }, rows: { type: int, default: 3 }, at: { type: timestamp } }
targets: { db: { kind: postgres, access: write }, channel: { kind: notify } }
steps:
  - { id: find, uses: test/find, with: { server: db, table: '${{ inputs.table }}', since: '${{ inputs.at - duration(\"1m\") }}' } }
  - { id: write, uses: test/write, with: { server: db, rows: '${{ steps.find.outputs.rows + inputs.rows }}' } }
  - { id: tell, needs: [find], when: inputs.rows > 0, uses: test/tell, with: { channel: channel, message: 'on ${{ targets.db.host }}' } }
";

const CALL: &str = "  - id: fix
    runbook: inner.yaml
    when: steps.look.outputs.rows > 0
    on_failure: undo
    inputs: { table: '${{ inputs.schema }}.b', at: '${{ steps.look.outputs.at }}' }
    targets: { db: main, channel: people }
  - { id: last, uses: test/tell, with: { channel: people, message: '${{ steps[\"fix/find\"].outputs.xid }}' } }
";

fn compiled(outer: &str, files: &[(&str, &str)]) -> Compiled {
    compile_with(&text(outer), &catalogue(), &shelf(files))
}

fn plan(outer: &str, files: &[(&str, &str)]) -> Plan {
    let compiled = compiled(outer, files);
    let all = compiled.called.iter().map(|called| (&called.file, &called.diagnostics));
    let shown: String = all.map(|(file, found)| render(file, found, false)).collect();
    compiled.plan.unwrap_or_else(|| panic!("{}{shown}", render(&text(outer), &compiled.diagnostics, false)))
}

#[test]
fn the_steps_of_a_called_runbook_stand_under_the_path_of_the_call() {
    let plan = plan(&format!("{OUTER}{CALL}"), &[("inner.yaml", INNER)]);
    let steps: Vec<_> = plan.steps.iter().map(|step| (step.id.as_str(), step.needs.as_slice())).collect();
    let wanted: [(&str, &[usize]); 5] =
        [("look", &[]), ("fix/find", &[0]), ("fix/write", &[1]), ("fix/tell", &[1]), ("last", &[2, 3])];
    assert_eq!(steps, wanted);
    let failing: Vec<_> = plan.steps.iter().map(|step| step.on_failure == OnFailure::Undo).collect();
    assert_eq!(
        failing,
        [false, true, true, true, false],
        "what `on_failure` of the call says takes the place of `stop`"
    );
    let roles: Vec<_> = plan.steps[1].action().expect("an action").grants.keys().map(RoleName::as_str).collect();
    assert_eq!(roles, ["main"]);
    insta::assert_snapshot!("called-tree", graph::tree(&plan));
    let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).expect("JSON")).expect("a plan");
    assert_eq!(again, plan);
    let changed = INNER.replace("name: Inner", "name: Other");
    assert_ne!(self::plan(&format!("{OUTER}{CALL}"), &[("inner.yaml", &changed)]).digest(), plan.digest());
}

/// The parameters that each step was started with, where every action answers with the same outputs.
fn parameters(plan: &Plan, outputs: &Value, mode: Mode) -> (BTreeMap<String, Value>, Run) {
    let at: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a time");
    let name = |text: &str| RoleName::new(text).expect("a name");
    let started = RunStarted {
        inputs: json!({ "schema": "public", "since": "2026-11-21T10:00:00Z" }),
        targets: BTreeMap::from([(name("main"), json!({ "host": "db1" }))]),
        mode,
        ..started(plan)
    };
    let (mut run, mut seen) = (Run::new(plan), BTreeMap::new());
    let mut inputs = vec![Input::Start(Box::new(started))];
    while let Some(input) = inputs.pop() {
        for event in decide(plan, &run, &input, at) {
            run.apply(at, &event).expect("a legal event");
            if let Event::StepStarted { step, attempt, parameters, .. } = event {
                seen.insert(step.to_string(), parameters);
                let done = Done { outputs: outputs.clone(), summary: String::new() };
                inputs.push(Input::Answered { step, attempt, purpose: Purpose::Run, answer: Ok(done) });
            }
        }
    }
    (seen, run)
}

#[test]
fn names_mean_what_they_mean_in_their_own_file() {
    let outputs = |rows: i64| json!({ "xid": "734", "rows": rows, "at": "2026-11-21T11:00:00Z" });
    // Called by a runbook that is called: three files, three meanings of `inputs`.
    let middle = INNER.replace("id: IN", "id: MID").split("  - { id: write").next().unwrap_or_default().to_owned()
        + "  - { id: deep, runbook: inner.yaml, inputs: { table: '${{ inputs.table }}.${{ steps.find.outputs.xid }}', rows: '${{ inputs.rows + 1 }}', at: '${{ inputs.at }}' }, targets: { db: db, channel: channel } }\n";
    let files = [("inner.yaml", INNER), ("middle.yaml", middle.as_str())];
    let outer = format!("{OUTER}{}", CALL.replace("inner.yaml", "middle.yaml"));
    let nested = plan(&outer, &files);
    let (seen, run) = parameters(&nested, &outputs(7), Mode::Real);
    assert_eq!(seen["fix/find"], json!({ "server": "main", "table": "public.b", "since": "2026-11-21T10:59:00Z" }));
    assert_eq!(
        seen["fix/deep/find"],
        json!({ "server": "main", "table": "public.b.734", "since": "2026-11-21T10:59:00Z" })
    );
    assert_eq!(seen["fix/deep/write"], json!({ "server": "main", "rows": 7 + 3 + 1 }));
    assert_eq!(seen["fix/deep/tell"], json!({ "channel": "people", "message": "on db1" }));
    assert_eq!(seen["last"], json!({ "channel": "people", "message": "734" }));
    assert_eq!(run.outcome(), Some(lifeboat_core::event::Outcome::Succeeded));

    // Where the call's own condition is false none of its steps is done, and what needs it continues.
    let without = outer.replace("steps[\"fix/find\"].outputs.xid", "run.id");
    let (seen, _) = parameters(&plan(&without, &files), &outputs(0), Mode::Real);
    assert_eq!(seen.keys().map(String::as_str).collect::<Vec<_>>(), ["last", "look"]);

    // An input that holds a word where a number is declared.
    let wrong = CALL.replace(
        "inputs: { table:",
        "inputs: { rows: '${{ steps.look.outputs.xid == \"1\" ? dyn(1) : dyn(\"x\") }}', table:",
    );
    let (_, run) = parameters(&plan(&format!("{OUTER}{wrong}"), &[("inner.yaml", INNER)]), &outputs(7), Mode::Real);
    let failure = run.find(&StepId::parse("fix/write").expect("a name")).and_then(|step| step.state.failure().cloned());
    let message = failure.map(|failure| failure.reason().message.clone()).unwrap_or_default();
    assert!(message.contains("the input `rows` of `fix`: `\"x\"` is not a whole number"), "{message}");
}

/// File, code and underlined text of what is found.
fn found(outer: &str, files: &[(&str, &str)]) -> Vec<String> {
    let compiled = compiled(outer, files);
    assert_eq!(compiled.plan, None, "{outer}");
    let own = (text(outer), compiled.diagnostics);
    let called = compiled.called.into_iter().map(|called| (called.file, called.diagnostics));
    let line = |file: &SourceFile, finding: &lifeboat_core::diagnostic::Diagnostic| {
        format!("{} {} {}", file.name, finding.code, &file.text[finding.span.start..finding.span.end])
    };
    std::iter::once(own)
        .chain(called)
        .flat_map(|(file, found)| found.iter().map(|finding| line(&file, finding)).collect::<Vec<_>>())
        .collect()
}

#[test]
fn what_does_not_fit_the_called_runbook_is_found_where_it_is() {
    let replaced = |from: &str, to: &str| {
        assert!(CALL.contains(from), "{from}");
        format!("{OUTER}{}", CALL.replace(from, to))
    };
    for (outer, wanted) in [
        (replaced("inner.yaml", "iner.yaml"), vec!["test.yaml LB0042 iner.yaml"]),
        (replaced("{ table:", "{ tabel:"), vec!["test.yaml LB0060 inner.yaml", "test.yaml LB0061 tabel"]),
        (replaced("{ table: '${{ inputs.schema }}.b'", "{ table: 3"), vec!["test.yaml LB0026 3"]),
        (
            replaced("${{ steps.look.outputs.at }}", "${{ steps.look.outputs.rows }}"),
            vec!["test.yaml LB0026 steps.look.outputs.rows"],
        ),
        (replaced("${{ inputs.schema }}.b", "${{ inputs.scheme }}.b"), vec!["test.yaml LB0032 scheme"]),
        (replaced("{ db: main,", "{"), vec!["test.yaml LB0052 inner.yaml"]),
        (replaced("{ db: main,", "{ bd: main,"), vec!["test.yaml LB0052 inner.yaml", "test.yaml LB0027 bd"]),
        (replaced("{ db: main,", "{ db: mian,"), vec!["test.yaml LB0027 mian"]),
        (replaced("{ db: main,", "{ db: people,"), vec!["test.yaml LB0028 people"]),
        (replaced("    on_failure: undo\n", "    retry: { attempts: 2 }\n"), vec!["test.yaml LB0041 retry"]),
        (replaced("    on_failure: undo\n", "    with: { a: 1 }\n"), vec!["test.yaml LB0041 with"]),
        (replaced("fix/find", "fix/nothing"), vec!["test.yaml LB0033 fix/nothing"]),
        (
            replaced("steps[\\\"fix/find\\\"].outputs.xid".replace('\\', "").as_str(), "steps.fix.outputs.xid"),
            vec!["test.yaml LB0035 xid"],
        ),
        (replaced("  - { id: last,", "  - { id: last, needs: [look],"), vec!["test.yaml LB0034 fix/find"]),
        (
            format!("{OUTER}{CALL}").replace("access: write }, people", "access: read }, people"),
            vec!["test.yaml LB0029 main"],
        ),
    ] {
        assert_eq!(found(&outer, &[("inner.yaml", INNER)]), wanted, "{outer}");
    }
    let wrong = INNER.replace("inputs.table }}", "inputs.tabel }}");
    let reported = found(&format!("{OUTER}{CALL}"), &[("inner.yaml", &wrong)]);
    assert_eq!(reported, ["inner.yaml LB0039 table", "inner.yaml LB0032 tabel"]);
    assert_eq!(found(&format!("{OUTER}{CALL}"), &[("inner.yaml", "a: [")]).len(), 1);
}

#[test]
fn the_handlers_of_a_called_runbook_are_left_out_and_that_is_said() {
    let outer = format!("{OUTER}{CALL}");
    let handler = "finally:\n  - { id: bye, uses: test/tell, with: { channel: channel, message: bye } }\n";
    let compiled = |outer: &str, inner: &str| compiled(outer, &[("inner.yaml", inner)]);
    let with = compiled(&outer, &format!("{INNER}{handler}"));
    insta::assert_snapshot!("called-handlers", render(&text(&outer), &with.diagnostics, false));
    let ids = |plan: Option<Plan>| plan.expect("a plan").steps.into_iter().map(|step| step.id).collect::<Vec<_>>();
    assert_eq!(ids(with.plan), ids(compiled(&outer, INNER).plan));
    // Those of the runbook that is started run, whatever it calls.
    let own = compiled(&format!("{outer}{}", handler.replace("channel: channel", "channel: people")), INNER);
    assert_eq!(own.diagnostics, []);
    assert_eq!(ids(own.plan).last().map(StepId::as_str), Some("bye"));
}

const HEAD: &str = "lifeboat: 1\nid: T\nname: T\nsteps:\n";

#[test]
fn a_circle_is_shown_the_whole_way_round() {
    let calls = |name: &str| format!("{HEAD}  - {{ id: a, runbook: {name} }}\n");
    let (outer, b, c) = (calls("b.yaml"), calls("c.yaml"), calls("b.yaml"));
    let compiled = compiled(&outer, &[("b.yaml", &b), ("c.yaml", &c)]);
    assert_eq!(compiled.plan, None);
    let shown: String = compiled.called.iter().map(|called| render(&called.file, &called.diagnostics, false)).collect();
    insta::assert_snapshot!("circle", shown);
    assert_eq!(found(&calls("test.yaml"), &[("test.yaml", &calls("test.yaml"))]), ["test.yaml LB0043 test.yaml"]);
}

#[test]
fn what_grows_without_bounds_is_refused_at_once() {
    let calls = |to: String, times: usize| {
        let steps: String =
            (0..times).map(|step| format!("  - {{ id: s{step}, needs: [], runbook: {to} }}\n")).collect();
        format!("{HEAD}{steps}")
    };
    let last = |steps: usize| {
        let steps: String =
            (0..steps).map(|step| format!("  - {{ id: s{step}, needs: [], approve: {{ message: x }} }}\n")).collect();
        format!("{HEAD}{steps}")
    };
    let tower = |height: usize, times: usize, top: usize| -> Vec<(String, String)> {
        let floor = |floor: usize| (format!("{floor}.yaml"), calls(format!("{}.yaml", floor + 1), times));
        (1..height).map(floor).chain([(format!("{height}.yaml"), last(top))]).collect()
    };
    for (files, fits) in [
        (tower(7, 1, 10), true),
        (tower(8, 1, 10), false),
        (tower(3, 10, 10), true),
        (tower(5, 10, 10), false),
        (vec![("1.yaml".to_owned(), last(1_500))], true),
    ] {
        let outer = calls("1.yaml".to_owned(), 1);
        let compiled = compile_with(&text(&outer), &catalogue(), &Shelf(files));
        let all = compiled.diagnostics.iter().chain(compiled.called.iter().flat_map(|called| &called.diagnostics));
        let codes: Vec<_> = all.map(|finding| finding.code).collect();
        assert_eq!((compiled.plan.is_some(), codes.contains(&"LB0044")), (fits, !fits), "{codes:?}");
    }
    // Every step of the second call needs every step of the first.
    let outer = format!("{HEAD}  - {{ id: a, runbook: 1.yaml }}\n  - {{ id: b, runbook: 1.yaml }}\n");
    let compiled = compile_with(&text(&outer), &catalogue(), &Shelf(vec![("1.yaml".to_owned(), last(1_500))]));
    assert_eq!(compiled.diagnostics.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["LB0044"]);
}

#[test]
fn steps_that_a_variant_leaves_out_pass_each_need_on_once() {
    let steps: String = (1..60)
        .map(|step| {
            let needs = [step - 1, step.max(2) - 2].map(|need| format!("s{need}")).join(", ");
            format!("  - {{ id: s{step}, variant: planned, needs: [{needs}], approve: {{ message: x }} }}\n")
        })
        .collect();
    let inner = format!(
        "{HEAD}  - {{ id: s0, approve: {{ message: x }} }}\n{steps}  - {{ id: end, approve: {{ message: x }} }}\n"
    );
    let outer = format!(
        "{HEAD}  - {{ id: a, approve: {{ message: x }} }}\n  - {{ id: c, runbook: b.yaml, variant: disaster }}\n"
    );
    let plan = plan(&outer, &[("b.yaml", &inner)]);
    let needs: Vec<_> = plan.steps.iter().map(|step| (step.id.as_str(), step.needs.clone())).collect();
    assert_eq!(needs, [("a", vec![]), ("c/s0", vec![0]), ("c/end", vec![1])]);
}

#[test]
fn what_is_called_often_counts_with_all_its_bytes() {
    let long = format!("{HEAD}  - {{ id: a, approve: {{ message: {} }} }}\n", "x".repeat(1 << 20));
    let calls: String = (0..100).map(|step| format!("  - {{ id: s{step}, runbook: b.yaml }}\n")).collect();
    assert_eq!(found(&format!("{HEAD}{calls}"), &[("b.yaml", &long)]), ["test.yaml LB0044 b.yaml"]);
}

#[test]
fn what_a_handler_calls_is_not_taken_back() {
    let inner = INNER.replace(
        "rows: '${{ steps.find.outputs.rows + inputs.rows }}' }",
        "rows: 1 }, undo: { uses: test/write, with: { server: db } }, on_failure: undo",
    );
    let call = "finally:\n  - { id: tidy, runbook: inner.yaml, inputs: { table: a, at: '2026-11-21T00:00:00Z' }, targets: { db: main, channel: people } }\n";
    let plan = plan(&format!("{OUTER}{call}"), &[("inner.yaml", &inner)]);
    let write = plan.steps.iter().find(|step| step.id.as_str() == "tidy/write").expect("it is called");
    assert_eq!((&write.undo, write.on_failure), (&None, OnFailure::Stop));
}
