//! Objectives that cannot be met, and those of which nobody knows.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use lifeboat_core::{
    bindings::{self, Bindings},
    diagnostic::{Diagnostic, render},
    feasibility::{StepTime, StepTimes, check},
    name::{RoleName, StepId},
    plan::{Plan, Section},
    runbook::compile,
};
use proptest::prelude::*;

use crate::{catalogue::catalogue, text};

const WRITE: &str = "uses: test/write, with: { server: db }";

fn runbook(objectives: &str, steps: &[&str]) -> String {
    let steps: String = steps.iter().map(|step| format!("  - {{ {step} }}\n")).collect();
    format!(
        "lifeboat: 1\nid: T\nname: T\nobjectives: {{ {objectives} }}\ntargets:\n  db: {{ kind: postgres, access: write \
         }}\n  place: {{ kind: machine, access: read }}\nsteps:\n{steps}"
    )
}

fn plan(runbook: &str) -> Plan {
    let compiled = compile(&text(runbook), &catalogue());
    compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
}

fn found(runbook: &str, bindings: Option<&Bindings>, times: &StepTimes) -> Vec<Diagnostic> {
    check(&text(runbook), &plan(runbook), bindings, times)
}

fn codes(found: &[Diagnostic]) -> Vec<&'static str> {
    found.iter().map(|finding| finding.code).collect()
}

/// Bindings of both roles, with these keys of the server and these folders of the machine.
fn bound(server: &str, folders: &str) -> Bindings {
    let file = format!(
        "lifeboat: 1\ntargets:\n  db: {{ kind: postgres, access: write, host: db1, database: app, user: dba, {server} \
         }}\n  place: {{ kind: machine, folders: {{ work: {{ path: /w }}, {folders} }} }}\n"
    );
    let parsed = bindings::parse(&text(&file));
    parsed.bindings.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics))
}

fn recorded(times: &[(&str, i64)]) -> StepTimes {
    let time = |(step, minutes): &(&str, i64)| {
        (StepId::parse(*step).expect("a name"), StepTime { length: SignedDuration::from_mins(*minutes), runs: 3 })
    };
    times.iter().map(time).collect()
}

#[test]
fn an_objective_that_cannot_be_met_is_told_with_the_arithmetic() {
    let restore = format!("id: restore, {WRITE}, estimate: 95m");
    let merge = format!("id: merge, {WRITE}");
    let runbook = runbook("rto: 1h, rpo: 15m, window_days: 40", &[&restore, &merge]);
    let bindings = bound(
        "archive_interval: 5m",
        "archive: { path: /a, copy_interval: 6h, retention_days: 30 }, backups: { path: /b, retention_days: 35 }",
    );
    let found = found(&runbook, Some(&bindings), &recorded(&[("merge", 7)]));
    insta::assert_snapshot!("infeasible", render(&text(&runbook), &found, false));
}

#[test]
fn only_what_is_certain_to_take_time_counts() {
    let late = |objectives: &str, steps: &[&str], times: &[(&str, i64)]| {
        let runbook = runbook(objectives, steps);
        !found(&runbook, None, &recorded(times)).is_empty()
    };
    let step = |rest: &str| format!("{WRITE}, {rest}");
    let (long, short) = (step("id: a, estimate: 2h"), step("id: a, estimate: 1h"));
    assert!(late("rto: 1h", &[&long], &[]));
    assert!(!late("rto: 1h", &[&short], &[]), "as long as it may be");
    assert!(!late("rpo: 1h", &[&long], &[]), "no RTO");
    assert!(!late("rto: 1h", &[&long], &[("a", 20)]), "it is known to be faster");
    assert!(late("rto: 1h", &[&short], &[("a", 61)]), "it is known to be slower");
    assert!(!late("rto: 1h", &[&step("id: a, estimate: 2h, when: \"${{ run.id == 'x' }}\"")], &[]), "may be skipped");
    let (before, behind) = (step("id: a, estimate: 50m"), step("id: b, estimate: 50m"));
    let beside = step("id: b, estimate: 50m, needs: []");
    assert!(late("rto: 1h", &[&before, &behind], &[]), "one after the other");
    assert!(!late("rto: 1h", &[&before, &beside], &[]), "side by side");
    assert!(!late("rto: 1h, restored_by: a", &[&before, &behind], &[]), "users are served before the end");
    assert!(late("rto: 1h, restored_by: b", &[&before, &behind], &[]));
    let planned = step("id: b, estimate: 50m, variant: planned");
    assert!(late("rto: 1h", &[&before, &planned], &[]), "in one variant");
    assert!(!late("rto: 1h", &[&before, &step("id: b, estimate: 50m, variant: planned, needs: []")], &[]));
}

#[test]
fn handlers_are_not_on_the_way_to_the_end_of_the_outage() {
    let handlers = format!("on_failure:\n  - {{ id: h, {WRITE}, estimate: 5h }}\n");
    let runbook = runbook("rto: 1h", &[&format!("id: a, {WRITE}")]) + &handlers;
    assert_eq!(plan(&runbook).steps[1].section, Section::OnFailure);
    assert_eq!(found(&runbook, None, &StepTimes::new()), []);
}

#[test]
fn the_archive_must_be_as_young_as_the_rpo() {
    let runbook = runbook("rpo: 15m", &[&format!("id: a, {WRITE}")]);
    for (server, folders, expected) in [
        ("port: 5432", "", false),
        ("archive_interval: 15m", "", false),
        ("archive_interval: 16m", "", true),
        ("archive_interval: 10m", "archive: { path: /a, copy_interval: 5m }", false),
        ("archive_interval: 10m", "archive: { path: /a, copy_interval: 6m }", true),
        ("port: 5432", "archive: { path: /a, copy_interval: 16m }", true),
        ("port: 5432", "backups: { path: /a, copy_interval: 16m }", false),
    ] {
        let found = found(&runbook, Some(&bound(server, folders)), &StepTimes::new());
        assert_eq!(codes(&found) == ["LB0064"], expected, "{server} {folders}: {found:?}");
    }
}

#[test]
fn a_second_server_may_have_more_than_the_archive() {
    let with_standby = runbook("rpo: 15m", &[&format!("id: a, {WRITE}")])
        .replace("  place:", "  standby: { kind: postgres, access: read }\n  place:");
    let mut bindings = bound("archive_interval: 1h", "");
    assert_eq!(codes(&found(&with_standby, Some(&bindings), &StepTimes::new())), ["LB0064"]);
    let standby = bindings.targets.iter().next().map(|(_, binding)| binding.clone()).expect("a server");
    bindings.targets.insert(RoleName::new("standby").expect("a name"), standby);
    assert_eq!(found(&with_standby, Some(&bindings), &StepTimes::new()), []);
}

#[test]
fn backups_and_archive_must_reach_back_as_far_as_the_window() {
    let runbook = runbook("window_days: 30", &[&format!("id: a, {WRITE}")]);
    for (folders, expected) in [
        ("", false),
        ("backups: { path: /b, retention_days: 30 }, archive: { path: /a, retention_days: 30 }", false),
        ("backups: { path: /b, retention_days: 29 }, archive: { path: /a, retention_days: 90 }", true),
        ("backups: { path: /b, retention_days: 90 }, archive: { path: /a, retention_days: 29 }", true),
        ("backups: { path: /b }, archive: { path: /a, retention_days: 30 }", false),
    ] {
        let found = found(&runbook, Some(&bound("port: 5432", folders)), &StepTimes::new());
        assert_eq!(codes(&found) == ["LB0065"], expected, "{folders}: {found:?}");
    }
}

#[test]
fn the_step_that_restores_must_exist() {
    let file = text(&runbook("rto: 1h, restored_by: swich", &[&format!("id: switch, {WRITE}")]));
    let compiled = compile(&file, &catalogue());
    insta::assert_snapshot!("no-restoring-step", render(&file, &compiled.diagnostics, false));
}

proptest! {
    /// The longest chain of needs, found by trying every chain.
    #[test]
    fn the_time_is_that_of_the_longest_chain(
        steps in prop::collection::vec((prop::collection::btree_set(0_usize..6, 0..3), 0_i64..50), 1..7),
        rto in 1_i64..120,
    ) {
        fn chain(steps: &[(Vec<usize>, i64)], step: usize) -> i64 {
            let before = steps[step].0.iter().map(|need| chain(steps, *need)).max();
            steps[step].1 + before.unwrap_or_default()
        }
        let place = |(place, (needs, minutes)): (usize, (std::collections::BTreeSet<usize>, i64))| {
            (needs.into_iter().filter(|need| *need < place).collect::<Vec<_>>(), minutes)
        };
        let steps: Vec<_> = steps.into_iter().enumerate().map(place).collect();
        let longest = (0..steps.len()).map(|step| chain(&steps, step)).max().unwrap_or_default();
        let written = |(place, (needs, minutes)): (usize, &(Vec<usize>, i64))| {
            let needs: Vec<_> = needs.iter().map(|need| format!("s{need}")).collect();
            format!("id: s{place}, {WRITE}, needs: [{}], estimate: {minutes}m", needs.join(", "))
        };
        let written: Vec<_> = steps.iter().enumerate().map(written).collect();
        let lines: Vec<&str> = written.iter().map(String::as_str).collect();
        let found = found(&runbook(&format!("rto: {rto}m"), &lines), None, &BTreeMap::new());
        prop_assert_eq!(!found.is_empty(), longest > rto, "{:?}", found);
        if let [finding] = found.as_slice() {
            let total = format!("{:#}", SignedDuration::from_mins(longest)).replace(' ', "");
            prop_assert!(finding.message.contains(&format!("at least {total},")), "{:?}", finding);
        }
    }
}
