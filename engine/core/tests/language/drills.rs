//! Steps that hold a drill: an action like any other, whose parameters are keys of the language.

use lifeboat_core::{action::Catalogue, graph, plan::Plan, runbook::compile};

use crate::{
    catalogue::catalogue,
    runbooks::{found, with_steps},
    text,
};

const W: &str = "uses: test/write, with: { server: db }";

fn plan(steps: &str) -> Plan {
    let compiled = compile(&text(&with_steps(steps)), &catalogue());
    compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
}

#[test]
fn a_drill_is_an_action_with_keys_of_its_own() {
    let drill = |rest: &str| {
        format!("  - {{ id: a, {W} }}\n  - {{ id: rehearse, drill: {{ scenario: dr-003, testbed: process }}{rest} }}\n")
    };
    let spelled = drill("").replace("drill: { scenario: dr-003", "uses: drill/hold, with: { scenario: dr-003");
    assert_eq!(plan(&drill("")).steps, plan(&spelled).steps);
    assert_eq!(graph::tree(&plan(&drill(""))).lines().last(), Some("└─ rehearse  drill/hold"));
    let later = "  - { id: b, when: \"steps.rehearse.outputs.seconds < 60.0\", ".to_owned() + W + " }\n";
    for (steps, wanted) in [
        (drill(", retry: { attempts: 2 }, timeout: 5m"), vec![]),
        (drill("") + &later, vec![]),
        (drill("") + &later.replace("seconds", "minutes"), vec!["LB0035 minutes"]),
        (drill("").replace("dr-003", "\"${{ run.id }}\""), vec![]),
        (drill("").replace("dr-003", "\"${{ run.name }}\""), vec!["LB0031 name"]),
        (drill(", with: { scenario: x }"), vec!["LB0041 with"]),
        (drill("").replace("scenario", "scenery"), vec!["LB0011 drill", "LB0010 scenery"]),
        (drill("").replace("process", "cloud"), vec!["LB0013 cloud"]),
        (drill("").replace("dr-003", "3"), vec!["LB0012 3"]),
        (drill("").replace("{ scenario: dr-003, testbed: process }", "dr-003"), vec!["LB0012 dr-003"]),
    ] {
        assert_eq!(found(&with_steps(&steps)), wanted, "{steps}");
    }
}

#[test]
fn a_drill_that_nothing_serves_is_an_unknown_action() {
    let file = text(&with_steps("  - { id: rehearse, drill: { scenario: dr-003 } }\n"));
    let found = compile(&file, &Catalogue::default()).diagnostics;
    let code = found.iter().map(|it| (it.code, &file.text[it.span.start..it.span.end])).collect::<Vec<_>>();
    assert!(code.contains(&("LB0023", "drill")), "{found:?}");
}
