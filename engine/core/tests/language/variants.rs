//! Steps of one variant only.

use lifeboat_core::{
    graph,
    plan::{Plan, Variant},
    runbook::compile,
};

use crate::{
    catalogue::catalogue,
    runbooks::{found, with_steps},
    text,
};

const W: &str = "uses: test/write, with: { server: db }";
const F: &str = "uses: test/find, with: { server: db, table: a }";

fn plan(steps: &str) -> Plan {
    let compiled = compile(&text(&with_steps(steps)), &catalogue());
    compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
}

#[test]
fn what_needed_a_step_of_another_variant_needs_what_that_one_needed() {
    let plan = plan(&format!(
        "  - {{ id: a, {W} }}
  - {{ id: b, {W}, needs: [] }}
  - {{ id: drain, {F}, variant: planned, needs: [a, b] }}
  - {{ id: promote, {W}, variant: disaster }}
  - {{ id: c, {W} }}
  - {{ id: check, {W}, variant: planned, when: steps.drain.outputs.rows > 0 }}
"
    ));
    assert!(plan.has_variants());
    insta::assert_snapshot!("variants-tree", graph::tree(&plan));
    let order = |plan: &Plan| -> Vec<(String, Vec<usize>)> {
        plan.steps.iter().map(|step| (step.id.to_string(), step.needs.clone())).collect()
    };
    let named = |list: &[(&str, &[usize])]| -> Vec<(String, Vec<usize>)> {
        list.iter().map(|(id, needs)| ((*id).to_owned(), needs.to_vec())).collect()
    };
    let planned = plan.clone().of_variant(Variant::Planned);
    assert_eq!(order(&planned), named(&[("a", &[]), ("b", &[]), ("drain", &[0, 1]), ("c", &[2]), ("check", &[3])]));
    let disaster = plan.clone().of_variant(Variant::Disaster);
    assert_eq!(order(&disaster), named(&[("a", &[]), ("b", &[]), ("promote", &[0, 1]), ("c", &[2])]));
    assert!(!disaster.has_variants() && disaster.digest() != planned.digest());
    assert_eq!(graph::tree(&disaster).lines().next(), Some("T  T (disaster)"));
    let again: Plan = serde_json::from_str(&serde_json::to_string(&disaster).expect("JSON")).expect("a plan");
    assert_eq!(again, disaster);
}

#[test]
fn what_is_not_there_in_every_variant_is_found() {
    let referring = |variant: &str| {
        format!(
            "  - {{ id: a, {F}, variant: planned }}\n  - {{ id: b, {W}, {variant} when: steps.a.outputs.rows > 0 }}\n"
        )
    };
    for (steps, wanted) in [
        (referring(""), vec!["LB0046 a"]),
        (referring("variant: disaster,"), vec!["LB0046 a"]),
        (format!("  - {{ id: z, {W} }}\n") + &referring("variant: disaster,"), vec!["LB0046 a"]),
        (format!("  - {{ id: a, {W}, variant: planned }}\n"), vec!["LB0019 steps"]),
        (format!("  - {{ id: a, {W}, variant: rehearsal }}\n"), vec!["LB0013 rehearsal"]),
    ] {
        assert_eq!(found(&with_steps(&steps)), wanted, "{steps}");
    }
    let same = format!("  - {{ id: z, {W} }}\n") + &referring("variant: planned,");
    assert_eq!(found(&with_steps(&same)), Vec::<String>::new());
}
