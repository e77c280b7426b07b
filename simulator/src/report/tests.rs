//! The report as programs and people read it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Check, CheckKind, DrillReport, history_line, render, schema};
use crate::{
    clock::At,
    measurement::{Probe, ProbeKind, Verdict},
};

/// A report of a drill that was met.
pub(crate) fn fixture() -> DrillReport {
    let mut report: DrillReport =
        serde_json::from_str(include_str!("../../../engine/present/src/drill/tests/report.json"))
            .expect("the fixture is a report");
    let probe = |kind, at: i64, ok| Probe { kind, started: At(at), ended: At(at + 3000), ok, detail: None }.drawn();
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
        ("/episodes/0/rto/service_s/low", json!(-1)),
        ("/writes/lost", json!("none")),
        ("/checks/0/passed", json!("yes")),
        ("/format", json!("lifeboat.report/1")),
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
    insta::assert_json_snapshot!(history_line(&fixture(), at, Duration::from_millis(83_250)));
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

#[test]
fn nothing_on_the_page_of_an_unmeasured_drill_looks_like_a_pass() {
    let mut report = fixture();
    report.verdict = Verdict::Unmeasured;
    report.checks = vec![Check {
        name: "endpoints-agree".to_owned(),
        episode: None,
        kind: CheckKind::Result,
        passed: false,
        measured: false,
        detail: "not measured: refused".to_owned(),
    }];
    (report.controls, report.control_run) = (Vec::new(), None);
    let page = render(&report);
    assert!(!page.contains("class=\"met\"") && !page.contains("class=\"missed\""), "{page}");
    assert!(page.contains("<li>endpoints-agree: not measured: refused</li>"), "{page}");
    assert!(page.contains("<span class=\"unmeasured\">within it, but not proven</span>"), "{page}");
}

/// What screen readers, a dark room, a phone and paper need.
#[test]
fn the_page_can_be_used_by_everybody() {
    let page = render(&fixture());
    for landmark in ["<header>", "<nav aria-label=\"Contents\">", "<main>", "<footer>"] {
        assert_eq!(page.matches(landmark).count(), 1, "{landmark}");
    }
    assert_eq!(page.matches("<table").count(), page.matches("<caption>").count(), "each table says what it shows");
    for link in page.split("href=\"#").skip(1) {
        let id = link.split('"').next().expect("an id");
        assert!(page.contains(&format!("<section id=\"{id}\" aria-labelledby=\"{id}-title\">")), "{id}");
    }
    let (style, body) = page.split_once("</style>").expect("a style");
    for needed in
        ["prefers-color-scheme: dark", "max-width: 40rem", "attr(data-label)", "counter(page)", "@media print"]
    {
        assert!(style.contains(needed), "{needed}");
    }
    assert!(style.contains("content: \"DR-003 · dr-003-20261121-7f3a\""), "each printed page names its run");
    for fixed in ["fill=\"#", "stroke=\"#", "style="] {
        assert!(!body.contains(fixed), "a colour that no scheme changes: {fixed}");
    }
}

#[test]
fn a_drill_without_evidence_says_so() {
    let mut report = fixture();
    (report.probe_log, report.probes, report.episodes) = (Vec::new(), Vec::new(), Vec::new());
    (report.controls, report.control_run) = (Vec::new(), None);
    (report.verdict, report.samples[0].verdict) = (Verdict::Unmeasured, Verdict::Unmeasured);
    let page = render(&report);
    for said in [
        "There is no picture",
        "Nothing had to be recovered",
        "No control was run",
        "and proved nothing",
        "Probes",
        ": none.",
    ] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn the_page_of_several_runs_shows_each() {
    let mut report = fixture();
    report.samples.push(report.samples[0].clone());
    report.samples[1].run = "dr-003-20261121-0002".to_owned();
    let page = render(&report);
    assert!(page.contains("2 runs, of which this report shows the worst") && page.contains("dr-003-20261121-0002"));
}
