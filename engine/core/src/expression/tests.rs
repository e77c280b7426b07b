//! What expressions give, and what they refuse.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Budget, Scope, Template};
use crate::{
    event::{Mode, Person, RunStarted},
    name::{RoleName, RunId, StepId},
    plan::{InputDeclaration, Invocation, Objectives, OnFailure, Plan, Retry, RunbookRef, Section, Step, StepKind},
    types::Type,
};

fn types(list: &[(&str, &str)]) -> BTreeMap<String, Type> {
    list.iter().map(|(name, ty)| ((*name).to_owned(), ty.parse().expect(ty))).collect()
}

fn plan() -> Plan {
    let inputs =
        types(&[("since", "timestamp"), ("wait", "duration"), ("n", "int"), ("list", "list<int>"), ("text", "string")]);
    let declared = |(name, ty)| (name, InputDeclaration { ty, description: String::new(), default: None });
    let find = StepKind::Uses(Invocation {
        action: crate::name::ActionName::new("test/find").expect("a name"),
        with: BTreeMap::new(),
        grants: BTreeMap::new(),
        effect: crate::action::Effect::Read,
        idempotent: true,
        observable: false,
        parameters: BTreeMap::new(),
        outputs: types(&[("at", "timestamp"), ("rows", "int"), ("tables", "map<record{rows: int}>")]),
    });
    Plan {
        runbook: RunbookRef { id: "T".to_owned(), name: "T".to_owned(), digest: String::new() },
        objectives: Objectives::default(),
        inputs: inputs.into_iter().map(declared).collect(),
        targets: BTreeMap::new(),
        steps: vec![Step {
            id: StepId::new("find-it").expect("a name"),
            title: None,
            needs: Vec::new(),
            kind: find,
            when: None,
            timeout: None,
            time_limit: None,
            retry: Retry::default(),
            undo: None,
            on_failure: OnFailure::Stop,
            line: 1,
            section: Section::Steps,
            each: None,
            variant: None,
            within: None,
        }],
        called: Vec::new(),
        variant: None,
    }
}

fn render(template: Value) -> Result<Value, String> {
    let plan = plan();
    let inputs = json!({
        "since": "2026-11-21T04:00:00.5Z", "wait": "1h30m", "n": 3, "list": (0..200).collect::<Vec<_>>(),
        "text": "x".repeat(400_000),
    });
    let started = RunStarted {
        run: RunId::new("t-1").expect("a name"),
        format: 1,
        runbook: plan.runbook.clone(),
        plan_digest: String::new(),
        engine: String::new(),
        inputs,
        targets: BTreeMap::from([(RoleName::new("db").expect("a name"), json!({"port": 5432}))]),
        mode: Mode::Real,
        who: Person::Engine,
        people: BTreeMap::new(),
    };
    let started = (Timestamp::from_second(1_800_000_000).expect("a time"), started);
    let outputs = json!({"at": "2026-11-21T03:00:00Z", "rows": 7, "tables": {"b": {"rows": 2}, "a": {"rows": 1}}});
    let scope = Scope {
        plan: &plan,
        within: None,
        started: &started,
        outputs: &|_| Some(&outputs),
        item: None,
        ending: None,
        budget: &Budget::default(),
    };
    Template::new(template).render(&scope).map_err(|error| error.to_string())
}

#[test]
fn whole_expressions_keep_their_type_and_others_are_text() {
    for (template, wanted) in [
        ("plain", json!("plain")),
        ("${{ inputs.n }}", json!(3)),
        ("${{ inputs.n + 1 }}", json!(4)),
        ("n is ${{ inputs.n }}!", json!("n is 3!")),
        ("${{ inputs.since }}", json!("2026-11-21T04:00:00.5Z")),
        ("${{ inputs.since - inputs.wait }}", json!("2026-11-21T02:30:00.5Z")),
        ("${{ inputs.since - duration('5m') }}", json!("2026-11-21T03:55:00.5Z")),
        ("${{ inputs.since - steps['find-it'].outputs.at }}", json!("1h500ms")),
        ("${{ inputs.since > steps['find-it'].outputs.at }}", json!(true)),
        ("${{ duration('90s') }}", json!("1m30s")),
        ("${{ inputs.n == 3 ? 'three' : 'other' }}", json!("three")),
        ("${{ size(inputs.list) }}", json!(200)),
        ("${{ inputs.list.exists(x, x == 150) }}", json!(true)),
        ("${{ steps['find-it'].outputs.tables }}", json!({"a": {"rows": 1}, "b": {"rows": 2}})),
        ("${{ {'z': 1, 'a': 2} }}", json!({"a": 2, "z": 1})),
        ("${{ has(steps['find-it'].outputs.nothing) }}", json!(false)),
        ("${{ {'d': 4, 'b': 2, 'e': 5, 'a': 1, 'c': 3}.map(k, k) }}", json!(["a", "b", "c", "d", "e"])),
        ("${{ steps['find-it'].outputs.tables.filter(t, t != 'x') }}", json!(["a", "b"])),
        ("${{ inputs.list.filter(x, x > 197).map(x, x + 1) }}", json!([199, 200])),
        ("${{ targets.db.port }}", json!(5432)),
        ("${{ run.id }} ${{ run.started }}", json!("t-1 2027-01-15T08:00:00Z")),
        ("${{ run.started + duration('1s') }}", json!("2027-01-15T08:00:01Z")),
    ] {
        assert_eq!(render(json!(template)), Ok(wanted), "{template}");
    }
    assert_eq!(render(json!({"a": ["${{ inputs.n }}", 1]})), Ok(json!({"a": [3, 1]})));
}

#[test]
fn what_has_no_value_or_too_large_a_one_is_refused() {
    for (template, wanted) in [
        ("${{ inputs.nothing }}", "`inputs.nothing`: there is no `nothing` in `inputs`"),
        ("${{ targets.db.host }}", "`targets.db.host`: there is no `host` in `targets.db`"),
        ("${{ 1 / 0 }}", "`1 / 0`: Division by zero of Int(1)"),
        ("${{ inputs.n + 'x' }}", "`inputs.n + 'x'`: "),
        ("${{ inputs.text + inputs.text + inputs.text }}", "the result is larger than 1048576 bytes"),
        ("${{ inputs.list.map(x, inputs.text) }}", "the expression looks at too much data"),
        ("${{ b'bytes' }}", "a result of type bytes can not be used in a runbook"),
        ("${{ 1.0 / 0.0 }}", "the result `inf` is not a number that JSON can hold"),
    ] {
        let error = render(json!(template)).expect_err(template);
        assert!(error.starts_with(wanted), "{template}: {error}");
    }
    let long = "${{ inputs.text }}".repeat(50);
    let error = render(json!(long)).expect_err("fifty times 400,000 bytes");
    assert!(error.starts_with("its expressions give more than 16777216 bytes"), "{error}");
    let many = render(json!(vec!["${{ inputs.n }}"; 10_001])).expect_err("one too many");
    assert!(many.starts_with("more than 10000 expressions"), "{many}");
}
