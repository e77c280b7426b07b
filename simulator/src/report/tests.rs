//! The report as programs and people read it.

use serde_json::{Value, json};

use super::{DrillReport, history_line, render, schema};
use crate::{
    clock::At,
    measurement::{Probe, ProbeKind},
};

/// A report of a drill that was met.
pub(crate) fn fixture() -> DrillReport {
    let mut report: DrillReport =
        serde_json::from_str(include_str!("tests/report.json")).expect("the fixture is a report");
    let probe = |kind, at: i64, ok| Probe { kind, started: At(at), ended: At(at + 3000), ok, detail: None };
    report.clock_start = Some("2026-11-21T12:00:00Z".parse().expect("a timestamp"));
    report.probe_log = (0..40)
        .flat_map(|slot| ProbeKind::ALL.map(|kind| (slot, kind)))
        .map(|(slot, kind)| probe(kind, slot * 500_000, kind != ProbeKind::Content || !(16..22).contains(&slot)))
        .collect();
    report
}

fn problems(document: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(&schema()).expect("the schema is one");
    validator.iter_errors(document).map(|error| error.to_string()).collect()
}

#[test]
fn the_schema_takes_a_report_and_refuses_what_is_none() {
    let document = serde_json::to_value(fixture()).expect("JSON");
    assert_eq!(problems(&document), Vec::<String>::new());
    let mut unnamed = document.clone();
    unnamed.as_object_mut().expect("an object").remove("drill");
    assert!(!problems(&unnamed).is_empty());
    let breakages = [
        ("/verdict", json!("fine")),
        ("/rto/service_s/low", json!(-1)),
        ("/writes/lost", json!("none")),
        ("/checks/0/passed", json!("yes")),
        ("/format", json!("lifeboat.report/2")),
    ];
    for (place, value) in breakages {
        let mut broken = document.clone();
        *broken.pointer_mut(place).expect(place) = value;
        assert!(!problems(&broken).is_empty(), "{place}");
    }
}

#[test]
fn the_schema_changes_only_by_review() {
    insta::assert_json_snapshot!(schema());
}

#[test]
fn a_line_of_the_history() {
    let at = "2026-11-21T12:01:00Z".parse().expect("a timestamp");
    insta::assert_json_snapshot!(history_line(&fixture(), at));
}

#[test]
fn the_page_is_whole_by_itself() {
    let mut report = fixture();
    report.checks[0].detail = "<script>alert(1)</script>".to_owned();
    let page = render(&report);
    for foreign in ["<script", "http://", "https://", "<link", "<img"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    insta::assert_snapshot!(page);
}
