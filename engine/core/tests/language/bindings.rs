//! Bindings files, against themselves and against a plan.

use std::collections::BTreeMap;

use lifeboat_core::{
    bindings::{self, Bindings},
    diagnostic::render,
    fit, inputs,
    plan::StepKind,
    runbook::compile,
};

use crate::{catalogue::catalogue, file, text};

#[test]
fn a_bindings_file_is_read() {
    let file = file("bindings.yaml");
    let parsed = bindings::parse(&file);
    assert_eq!(render(&file, &parsed.diagnostics, false), "");
    insta::assert_debug_snapshot!(parsed.bindings.expect("bindings").targets);
}

#[test]
fn facts_hold_no_secret_and_no_reference() {
    let facts = bindings::parse(&file("bindings.yaml")).bindings.expect("bindings").facts();
    insta::assert_json_snapshot!("facts", facts);
}

#[test]
fn mistakes_in_bindings_are_all_reported_and_the_password_is_not_repeated() {
    let file = file("bad-bindings.yaml");
    let parsed = bindings::parse(&file);
    assert_eq!(parsed.bindings, None);
    for finding in &parsed.diagnostics {
        assert!(!format!("{finding:?}").contains("hunter2"));
    }
    let rendered = render(&file, &parsed.diagnostics, false);
    assert!(!rendered.contains("hunter2"));
    insta::assert_snapshot!("bad-bindings", rendered);
}

#[test]
fn bindings_are_held_against_the_plan() {
    let plan = compile(&file("good.yaml"), &catalogue()).plan.expect("a plan");
    let right = bindings::parse(&file("bindings.yaml")).bindings.expect("bindings");
    assert_eq!(fit::check(&plan, &right), []);
    assert_eq!(fit::leases(&plan, &right), ["machine:docker/recovery:/srv/lifeboat/work"]);

    let wrong = text(
        "lifeboat: 1\ntargets:\n  recovery: { kind: machine, access: read }\n  oncall: { kind: endpoint, http: { \
         url: 'http://x' } }\n  spare: { kind: machine }\n",
    );
    let bindings = bindings::parse(&wrong).bindings.expect("bindings");
    insta::assert_snapshot!("unfit-bindings", render(&wrong, &fit::check(&plan, &bindings), false));
}

#[test]
fn a_server_is_one_for_bindings_that_know_its_identity_and_for_others() {
    let runbook = "lifeboat: 1\nid: T\nname: T\ntargets: { db: { kind: postgres, access: write } }\nsteps:\n  - { \
         id: a, uses: test/write, with: { server: db } }\n";
    let plan = compile(&text(runbook), &catalogue()).plan.expect("a plan");
    let leases = |server: &str| {
        let file = format!(
            "lifeboat: 1\ntargets:\n  db: {{ kind: postgres, access: write, database: app, user: dba, password: \
             'env:P', {server} }}\n"
        );
        let parsed = bindings::parse(&text(&file));
        fit::leases(&plan, &parsed.bindings.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics)))
    };
    let known = leases("host: DB1.example.com, system_identifier: \"7412345678901234567\"");
    assert_eq!(known, ["postgres:7412345678901234567", "postgres:db1.example.com:5432"]);
    assert_eq!(leases("host: db1.example.com"), ["postgres:db1.example.com:5432"]);
    assert_eq!(leases("host: 127.0.0.1"), leases("host: localhost"));
}

#[test]
fn a_restore_command_fetches_one_file_and_removes_none() {
    let found = |command: &str| {
        let folder = format!("archive: {{ path: /a, restore_command: {command:?} }}");
        let file = format!("lifeboat: 1\ntargets:\n  m: {{ kind: machine, folders: {{ {folder} }} }}\n");
        let parsed = bindings::parse(&text(&file));
        parsed.diagnostics.iter().map(|finding| finding.label.clone()).collect::<Vec<_>>()
    };
    for good in ["gunzip < /a/%f.gz > %p", "get %f \"%p\"", "date +%%s; cp /a/%f %p"] {
        assert_eq!(found(good), <[&str; 0]>::default(), "{good}");
    }
    let marks = "must contain `%f` (the name of the file) and `%p` (the path to write it to)";
    for lacking in ["gunzip < /a/x.gz > %p", "cp /a/%f .", "cp /a/%%f %%p", ""] {
        assert_eq!(found(lacking), [marks], "{lacking}");
    }
    for other in ["cp /a/%f %p; pg_archivecleanup /a %r", "cp /a/%f %p 100%"] {
        assert_eq!(found(other), ["may contain `%f`, `%p` and `%%` only"], "{other}");
    }
}

#[test]
fn whoever_is_asked_must_be_somebody() {
    let plan = compile(&file("good.yaml"), &catalogue()).plan.expect("a plan");
    let right = bindings::parse(&file("bindings.yaml")).bindings.expect("bindings");
    let with = |people: &[(&str, &[&str])], four_eyes: bool| {
        let mut plan = plan.clone();
        for step in &mut plan.steps {
            if let StepKind::Approve { four_eyes: wanted, .. } = &mut step.kind {
                *wanted = four_eyes;
            }
        }
        let names = |names: &&[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let people = people.iter().map(|(role, list)| ((*role).to_owned(), names(list))).collect();
        let found = fit::check(&plan, &Bindings { people, ..right.clone() });
        found.into_iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!(with(&[], false), ["LB0057"], "nobody is named at all: everybody may");
    assert_eq!(with(&[("lead", &["ada"])], false), ["LB0058"], "somebody is named, and not for this role");
    assert_eq!(with(&[("dba", &[])], false), ["LB0058"]);
    assert_eq!(with(&[("dba", &["ada"])], true), ["LB0058"], "one person is not two");
    for enough in [&["ada", "grace"][..], &["group:dba"]] {
        assert_eq!(with(&[("dba", enough)], true), <[&str; 0]>::default());
    }
}

#[test]
fn inputs_are_read_by_their_types() {
    let plan = compile(&file("good.yaml"), &catalogue()).plan.expect("a plan");
    let given = |list: &[(&str, &str)]| -> BTreeMap<String, String> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let right = inputs::resolve(&plan, &given(&[("table", "public.a"), ("since", "2026-11-21T05:00:00+02:00")]));
    assert_eq!(
        right.expect("inputs"),
        serde_json::json!({"limit": 5, "since": "2026-11-21T03:00:00Z", "table": "public.a"})
    );
    let wrong = inputs::resolve(&plan, &given(&[("since", "yesterday"), ("limit", "many"), ("tabel", "x")]));
    insta::assert_snapshot!("inputs", render(&text(""), &wrong.expect_err("wrong inputs"), false));
}
