use super::*;
use crate::drill::{ControlReport, ControlRun, Verdict, testing::report};

fn reviewed(step: &str, report: DrillReport) -> Reviewed {
    let holding = Holding::of(&report, "2026-11-21T12:00:00Z".parse().unwrap());
    Reviewed { step: step.to_owned(), report, holdings: vec![holding], tried_before: 0 }
}

/// The report of a drill that passed with its controls.
fn passed() -> DrillReport {
    let mut report = report();
    report.control_run = Some(ControlRun {
        passed: true,
        verdict: Verdict::Met,
        rto_s: None,
        rpo_s: None,
        acknowledged: 100,
        detail: String::new(),
    });
    report.controls.iter_mut().for_each(|control| control.turned_red = true);
    report
}

fn material(drills: Vec<Reviewed>) -> Material {
    Material {
        run: "qd-001-20261121-120000".to_owned(),
        name: "Quarterly drill".to_owned(),
        steps: drills.iter().map(|drill| drill.step.clone()).collect(),
        drills,
        evidence: Vec::new(),
        now: "2026-11-21T13:00:00Z".parse().unwrap(),
    }
}

/// Evidence for every point of the report's list that nothing in the drill shows.
fn rest(report: &DrillReport) -> Vec<Evidence> {
    let points = report.checklist.iter().flat_map(|list| &list.points).filter(|point| point.shown_by.is_empty());
    points.map(|point| Evidence { point: point.point.clone(), evidence: "the file".to_owned() }).collect()
}

#[test]
fn a_review_says_what_is_shown_and_what_is_not() {
    let mut material = material(vec![reviewed("deletion", passed())]);
    let found = review(&material);
    let open: Vec<&str> =
        found.points.iter().filter(|point| point.showing == Showing::Nothing).map(|point| &*point.point).collect();
    assert!(!open.is_empty() && found.against.len() == open.len(), "{:?} {open:?}", found.against);
    material.evidence = rest(&material.drills[0].report);
    let found = review(&material);
    assert_eq!((found.against.len(), found.shown()), (0, found.points.len()));
    insta::assert_snapshot!(found.markdown());
}

#[test]
fn what_is_missing_or_wrong_stands_against_it() {
    let against = |change: &dyn Fn(&mut Material)| {
        let mut material = material(vec![reviewed("deletion", passed())]);
        material.evidence = rest(&material.drills[0].report);
        change(&mut material);
        review(&material).against.join("\n")
    };
    assert_eq!(against(&|_| {}), "");
    let check = |change: &dyn Fn(&mut Material), expected: &str| {
        let found = against(change);
        assert!(found.contains(expected), "{expected}: {found}");
    };
    check(&|it| it.steps.push("region".to_owned()), "`region` has held no drill");
    check(&|it| it.drills[0].report.verdict = Verdict::Missed, "is missed");
    check(&|it| it.drills[0].report.control_run = None, "was held without its controls");
    check(&|it| it.drills[0].report.controls[0].turned_red = false, "is met, and its controls are not");
    check(&|it| it.evidence[0].evidence.clear(), "nothing shows it");
    check(&|it| it.evidence[0].point.push('s'), "no check list has the point");
    check(&|it| it.drills[0].report.episodes[0].steps[0].state = "failed".to_owned(), "did not hold");
    check(
        &|it| {
            it.steps.clear();
            it.drills.clear();
            it.evidence.clear();
        },
        "the run holds no drill",
    );
}

#[test]
fn an_unmeasured_drill_shows_no_point() {
    let mut report = passed();
    report.verdict = Verdict::Unmeasured;
    let found = review(&material(vec![reviewed("deletion", report)]));
    assert!(found.points.iter().all(|point| point.showing != Showing::Shown), "{:?}", found.points);
}

#[test]
fn lessons_are_what_was_not_as_usual() {
    let taught = |change: &dyn Fn(&mut Reviewed)| {
        let mut drill = reviewed("deletion", passed());
        drill.report.episodes[0].outcome = "succeeded".to_owned();
        drill.report.environment.host = None;
        drill.report.episodes[0].steps.iter_mut().for_each(|step| step.attempts = step.attempts.min(1));
        change(&mut drill);
        review(&material(vec![drill])).lessons.iter().map(|it| format!("{}\n", it.lesson)).collect::<String>()
    };
    assert_eq!(taught(&|_| {}), "");
    let check = |change: &dyn Fn(&mut Reviewed), expected: &str| {
        let found = taught(change);
        assert!(found.contains(expected), "{expected}: {found}");
    };
    check(&|it| it.tried_before = 2, "held 2 times before in this run");
    check(&|it| it.report.episodes[0].outcome = "succeeded_with_exceptions".to_owned(), "ended with exceptions");
    check(&|it| it.report.episodes[0].steps[0].attempts = 3, "needed 3 attempts");
    check(&|it| it.report.episodes[0].steps[0].state = "resolved_by_hand".to_owned(), "was done by hand");
    check(
        &|it| {
            let rto = &mut it.report.episodes[0].rto;
            rto.objective_s = rto.judged_s.and_then(|judged| judged.high).map(|high| high * 1.1);
        },
        "is near its objective",
    );
    check(
        &|it| {
            it.report.controls = vec![ControlReport {
                name: "no-op-merge".to_owned(),
                turned_red: false,
                measured: true,
                by: None,
                detail: String::new(),
            }];
        },
        "control stayed green: no-op-merge",
    );
    check(
        &|it| {
            let now = it.holdings[0].clone();
            let mut usual = now.clone();
            usual.rto_s =
                now.rto_s.map(|rto| crate::drill::Interval { low: rto.low / 2.0, high: rto.high.map(|it| it / 2.0) });
            it.holdings = vec![usual.clone(), usual.clone(), usual, now];
        },
        "slower than usual by 100 %",
    );
}
