//! Modifiers of steps: what they become in the plan, and where they can not stand.

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
    ] {
        assert_eq!(found(&with_steps(steps)), wanted, "{steps}");
    }
}
