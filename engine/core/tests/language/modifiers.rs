//! Modifiers of steps: what they become in the plan, and where they cannot stand.

use jiff::SignedDuration;
use lifeboat_core::{graph, plan::Plan, runbook::compile};

use crate::{
    catalogue::catalogue,
    runbooks::{found, with_steps},
    text,
};

fn plan(steps: &str) -> Plan {
    let compiled = compile(&text(&with_steps(steps)), &catalogue());
    compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
}

#[test]
fn a_timeout_is_for_an_attempt_and_may_be_for_the_step_too() {
    let minutes = |minutes| Some(SignedDuration::from_mins(minutes));
    for (timeout, attempt, step, shown) in [
        ("10m", minutes(10), None, "timeout 10m"),
        ("{ attempt: 10m }", minutes(10), None, "timeout 10m"),
        ("{ step: 40m }", None, minutes(40), "40m in all"),
        ("{ attempt: 10m, step: 40m }", minutes(10), minutes(40), "timeout 10m · 40m in all"),
        ("{ attempt: 10m, step: 10m }", minutes(10), minutes(10), "timeout 10m · 10m in all"),
    ] {
        let plan = plan(&format!("  - {{ id: a, uses: test/write, with: {{ server: db }}, timeout: {timeout} }}\n"));
        assert_eq!((plan.steps[0].timeout, plan.steps[0].time_limit), (attempt, step), "{timeout}");
        assert_eq!(graph::tree(&plan).lines().last(), Some(format!("└─ a  test/write  {shown}").as_str()));
    }
}

#[test]
fn a_first_wait_is_not_cut_short_by_a_limit_that_nobody_wrote() {
    for (retry, most) in [("attempts: 3", 5), ("attempts: 3, backoff: 15m", 15), ("attempts: 3, backoff_max: 2m", 2)] {
        let plan = plan(&format!("  - {{ id: a, uses: test/write, with: {{ server: db }}, retry: {{ {retry} }} }}\n"));
        assert_eq!(plan.steps[0].retry.backoff_max, SignedDuration::from_mins(most), "{retry}");
    }
}

#[test]
fn a_modifier_that_means_nothing_is_found() {
    for (steps, wanted) in [
        (
            "  - { id: a, uses: test/write, with: { server: db }, timeout: { attempt: 10m, step: 9m } }\n",
            vec!["LB0070 9m"],
        ),
        ("  - { id: a, uses: test/write, with: { server: db }, timeout: { steps: 9m } }\n", vec!["LB0010 steps"]),
        ("  - { id: a, uses: test/write, with: { server: db }, timeout: [9m] }\n", vec!["LB0012 timeout"]),
        ("  - { id: a, uses: test/write, with: { server: db }, timeout: { step: soon } }\n", vec!["LB0015 soon"]),
        (
            "  - { id: a, approve: { message: x }, timeout: { attempt: 1m, step: 9m } }\n",
            vec!["LB0040 db", "LB0041 step"],
        ),
        ("  - { id: a, manual: { instruction: x }, timeout: { step: 9m } }\n", vec!["LB0040 db", "LB0041 step"]),
        (
            "  - { id: a, uses: test/write, with: { server: db }, retry: { attempts: 3, backoff: 10m, backoff_max: 1m } }\n",
            vec!["LB0070 1m"],
        ),
    ] {
        assert_eq!(found(&with_steps(steps)), wanted, "{steps}");
    }
}

const LISTS: &str = "lifeboat: 1
id: T
name: T
inputs: { tables: { type: list<string> }, times: { type: 'list<record{at: timestamp, rows?: int}>' }, any: { type: json } }
targets: { db: { kind: postgres, access: write } }
steps:
";

fn list(each: &str, with: &str) -> String {
    format!("{LISTS}  - {{ id: a, uses: test/find, for_each: \"{each}\", with: {{ server: db, {with} }} }}\n")
}

#[test]
fn a_step_is_done_for_each_item_of_a_list() {
    for (each, with, item) in [
        ("${{ inputs.tables }}", "table: 'public.${{ item }}'", "string"),
        ("inputs.tables", "table: '${{ item }}'", "string"),
        (
            "${{ inputs.times }}",
            "table: a, since: '${{ item.at - duration(\"5m\") }}'",
            "record{at: timestamp, rows?: int}",
        ),
        ("${{ inputs.any.of.them }}", "table: '${{ item.name }}'", "json"),
        (
            "${{ inputs.times.filter(t, t.rows > 1) }}",
            "table: a, since: '${{ item.at }}'",
            "record{at: timestamp, rows?: int}",
        ),
    ] {
        let compiled = compile(&text(&list(each, with)), &catalogue());
        let plan = compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
        let each = plan.steps[0].each.as_ref().expect("a list");
        assert_eq!((each.item.to_string().as_str(), each.max_parallel), (item, 8), "{}", each.over.as_str());
    }
    let two = list("inputs.tables", "table: '${{ item }}'").replace(" for_each", " max_parallel: 2, for_each")
        + "  - { id: b, uses: test/write, with: { server: db, rows: '${{ steps.a.outputs.items[0].rows }}' }, when: 'size(steps.a.outputs.items) > 0' }\n";
    let plan = compile(&text(&two), &catalogue()).plan.expect("a plan");
    insta::assert_snapshot!("list-tree", graph::tree(&plan));
}

#[test]
fn a_list_that_is_none_and_an_item_out_of_place_are_found() {
    let after = |text: &str| list("inputs.tables", "table: '${{ item }}'") + text;
    let person = |kind: &str| format!("{LISTS}  - {{ id: a, for_each: inputs.tables, {kind} }}\n");
    for (source, wanted) in [
        (list("${{ targets.db.port }}", "table: a"), "LB0026 targets.db.port"),
        (list("${{ inputs.tabels }}", "table: a"), "LB0032 tabels"),
        (list("true", "table: a").replace("\"true\"", "true"), "LB0026 true"),
        (list("inputs.tables", "table: '${{ item.name }}'"), "LB0031 name"),
        (list("inputs.times", "table: '${{ item.at }}'"), "LB0026 item.at"),
        (list("inputs.tables", "table: a").replace(" for_each", " max_parallel: 0, for_each"), "LB0018 0"),
        (list("inputs.tables", "table: a").replace(" for_each", " when: item == 'a', for_each"), "LB0031 item"),
        (after("  - { id: b, uses: test/write, with: { server: db }, when: item == 'a' }\n"), "LB0031 item"),
        (after("  - { id: b, uses: test/write, with: { server: db }, max_parallel: 3 }\n"), "LB0041 max_parallel"),
        (
            after("  - { id: b, uses: test/write, with: { server: db, rows: '${{ steps.a.outputs.rows }}' } }\n"),
            "LB0035 rows",
        ),
        (person("approve: { message: x }"), "LB0041 for_each"),
        (person("manual: { instruction: x }"), "LB0041 for_each"),
    ] {
        let found: Vec<_> =
            found(&source).into_iter().filter(|line| !line.starts_with("LB0039") && line != "LB0040 db").collect();
        assert_eq!(found, [wanted], "{source}");
    }
}
