//! Runbooks: what is right compiles to the plan that is meant, and what is wrong is reported all at once.

use lifeboat_core::{
    diagnostic::render,
    graph,
    plan::Plan,
    runbook::{Compiled, compile},
};

use crate::{catalogue::catalogue, file, text};

fn plan(name: &str) -> Plan {
    let file = file(name);
    let Compiled { plan, diagnostics, .. } = compile(&file, &catalogue());
    assert_eq!(render(&file, &diagnostics, false), "");
    plan.expect("a plan")
}

#[test]
fn a_runbook_with_everything_compiles() {
    let plan = plan("good.yaml");
    insta::assert_json_snapshot!(plan);
}

#[test]
fn a_plan_survives_json_and_keeps_its_digest() {
    let plan = plan("good.yaml");
    let text = serde_json::to_string(&plan).expect("JSON");
    let again: Plan = serde_json::from_str(&text).expect("a plan");
    assert_eq!(again, plan);
    assert_eq!(again.digest(), plan.digest());
    let mut other = plan.clone();
    other.steps[0].title = Some("x".to_owned());
    assert_ne!(other.digest(), plan.digest());
}

#[test]
fn pictures() {
    let plan = plan("good.yaml");
    insta::assert_snapshot!("tree", graph::tree(&plan));
    insta::assert_snapshot!("dot", graph::dot(&plan));
    insta::assert_snapshot!("mermaid", graph::mermaid(&plan));
}

#[test]
fn ten_and_more_mistakes_are_all_reported_with_their_places() {
    let file = file("mistakes.yaml");
    let compiled = compile(&file, &catalogue());
    assert_eq!(compiled.plan, None);
    insta::assert_snapshot!("mistakes", render(&file, &compiled.diagnostics, false));
}

/// Codes and underlined text of what is found.
pub(crate) fn found(source: &str) -> Vec<String> {
    let file = text(source);
    let compiled = compile(&file, &catalogue());
    compiled
        .diagnostics
        .iter()
        .map(|finding| format!("{} {}", finding.code, &file.text[finding.span.start..finding.span.end]))
        .collect()
}

pub(crate) fn with_steps(steps: &str) -> String {
    format!(
        "lifeboat: 1\nid: T\nname: T\ntargets: {{ db: {{ kind: postgres, access: write }} }}\nsteps:\n{}",
        steps.trim_start_matches('\n')
    )
}

#[test]
fn a_default_is_a_plain_value() {
    let source = |default: &str| {
        let inputs = format!("inputs: {{ x: {{ type: string, default: \"{default}\" }} }}");
        let step = "  - { id: a, approve: { message: '${{ inputs.x }}' } }";
        format!("lifeboat: 1\nid: T\nname: T\n{inputs}\nsteps:\n{step}\n")
    };
    assert_eq!(found(&source("plain")), [""; 0]);
    assert_eq!(found(&source("${{ inputs.y }}")), ["LB0037 \"${{ inputs.y }}\""]);
}

#[test]
fn each_mistake_is_found_where_it_is() {
    let w = "uses: test/write, with: { server: db }";
    for (steps, wanted) in [
        (format!("  - {{ id: a, {w} }}\n  - {{ id: a, {w} }}\n"), vec!["LB0020 a"]),
        (format!("  - {{ id: a, {w}, needs: [b] }}\n  - {{ id: b, {w} }}\n"), vec!["LB0022 a"]),
        (format!("  - {{ id: a, {w}, needs: [c] }}\n"), vec!["LB0021 c"]),
        (format!("  - {{ id: a, {w}, when: inputs.x }}\n"), vec!["LB0032 x"]),
        (format!("  - {{ id: a, {w}, when: '1 + 1 == 2 && nope(3)' }}\n"), vec!["LB0036 nope"]),
        (format!("  - {{ id: a, {w}, when: '\"text\"' }}\n"), vec!["LB0026 \"text\""]),
        (format!("  - {{ id: a, {w}, when: run.started }}\n"), vec!["LB0026 run.started"]),
        (format!("  - {{ id: a, {w}, when: steps.a.outputs.x }}\n"), vec!["LB0034 a"]),
        (format!("  - {{ id: a, {w} }}\n  - {{ id: b, {w}, needs: [], when: steps.a.outputs.x }}\n"), vec!["LB0034 a"]),
        (format!("  - {{ id: a, {w} }}\n  - {{ id: b, {w}, when: steps.a.outputs.x }}\n"), vec!["LB0035 x"]),
        (format!("  - {{ id: a, {w}, when: targets.db.colour }}\n"), vec!["LB0031 colour"]),
        (
            format!("  - {{ id: a, {w}, when: '[1].all(x, [2].all(y, x < y))' }}\n"),
            vec!["LB0030 [1].all(x, [2].all(y, x < y))"],
        ),
        (
            "  - id: a\n    approve: { message: hello }\n    retry: { attempts: 2 }\n".to_owned(),
            vec!["LB0040 db", "LB0038 a"],
        ),
        (
            "  - { id: a, uses: test/write, with: { server: '${{ inputs.x }}' } }\n".to_owned(),
            vec!["LB0040 db", "LB0026 '${{ inputs.x }}'"],
        ),
        (
            "  - { id: a, uses: test/restore, with: { machine: db, target: { latest: true } } }\n".to_owned(),
            vec!["LB0028 db"],
        ),
        ("  - { id: a, uses: test/write, with: { server: db, rows: 1.5 } }\n".to_owned(), vec!["LB0026 1.5"]),
        ("  - { id: a, uses: nope/write, with: { server: db } }\n".to_owned(), vec!["LB0040 db", "LB0023 nope/write"]),
        ("  - { uses: test/write, with: { server: db } }\n".to_owned(), vec!["LB0011 uses"]),
        ("  []\n".to_owned(), vec!["LB0040 db", "LB0019 steps"]),
    ] {
        assert_eq!(found(&with_steps(&steps)), wanted, "{steps}");
    }
}

#[test]
fn of_several_circles_the_one_is_told_to_which_the_first_waiting_step_leads() {
    let needs = [("a", ""), ("b", "a, d"), ("c", "e"), ("d", "c, a"), ("e", "f, d"), ("f", "f")];
    let step = |(id, needs): (&str, &str)| format!("  - {{ id: {id}, approve: {{ message: x }}, needs: [{needs}] }}\n");
    let steps: String = needs.into_iter().map(step).collect();
    let found = compile(&text(&format!("lifeboat: 1\nid: T\nname: T\nsteps:\n{steps}")), &catalogue()).diagnostics;
    let told: Vec<_> = found.iter().map(|finding| (finding.message.as_str(), finding.span.line)).collect();
    assert_eq!(told, [("steps need each other in a circle: `d` needs `c` needs `e` needs `d`", 8)]);
}

#[test]
fn another_version_of_the_language_is_refused() {
    assert_eq!(
        found(&with_steps("  - { id: a, approve: { message: x } }\n").replace("lifeboat: 1", "lifeboat: 2")),
        ["LB0006 2", "LB0040 db",]
    );
}

#[test]
fn the_order_is_topological_and_otherwise_the_authors() {
    let steps = "
  - { id: a, uses: test/write, with: { server: db }, needs: [d] }
  - { id: b, uses: test/write, with: { server: db }, needs: [] }
  - { id: c, uses: test/write, with: { server: db } }
  - { id: d, uses: test/write, with: { server: db }, needs: [] }
  - { id: e, uses: test/write, with: { server: db }, needs: [a, c] }
";
    let compiled = compile(&text(&with_steps(steps)), &catalogue());
    let plan = compiled.plan.expect("a plan");
    let ids: Vec<_> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["b", "c", "d", "a", "e"]);
    assert_eq!(plan.steps[4].needs, [1, 3]);
}
