//! `junit.xml`: the drill as a test suite, for continuous integration and dashboards.
//!
//! A suite is one run of the drill; its cases are the verdict, the objectives, the checks and the controls. What is missed has failed, what
//! was not measured is an error, and what does not apply or was not run is skipped: none of the three is a pass.

use super::{
    Check, CheckKind, ControlReport, DrillReport, EpisodeReport, Interval, NotApplied, Proof, Verdict, proof, reasons,
    sentence,
};
use crate::junit::{self, Ended, Suite, TestCase};

/// The document.
pub fn junit(report: &DrillReport) -> String {
    let others = report.samples.iter().filter(|sample| sample.run != report.run);
    let others = others.map(|sample| {
        let said = format!("RTO {}, RPO {}", measured(sample.rto_s), measured(sample.rpo_s));
        let case = TestCase {
            class: "drill",
            seconds: None,
            name: "verdict".to_owned(),
            result: judged(sample.verdict, said),
        };
        Suite {
            name: suite_name(report, &sample.run),
            attributes: String::new(),
            properties: Vec::new(),
            cases: vec![case],
        }
    });
    let suites: Vec<Suite> = std::iter::once(this_run(report)).chain(others).collect();
    junit::document("lifeboat drill", &suites)
}

fn suite_name(report: &DrillReport, run: &str) -> String {
    format!("{} {run}", report.drill)
}

fn this_run(report: &DrillReport) -> Suite {
    let held = report.held.as_ref();
    let attributes = held.map(|held| junit::held(held.from, held.until, Some(&held.host))).unwrap_or_default();
    let properties = vec![
        ("sentence", sentence(report)),
        ("verdict", report.verdict.to_string()),
        ("seed", report.seed.to_string()),
        ("version", report.version.clone()),
        ("testbed", report.testbed.backend.as_str().to_owned()),
    ];
    let runbooks =
        report.episodes.iter().map(|episode| ("runbook", format!("{} {}", episode.runbook.id, episode.runbook.digest)));
    Suite {
        name: suite_name(report, &report.run),
        attributes,
        properties: properties.into_iter().chain(runbooks).collect(),
        cases: cases(report),
    }
}

fn cases(report: &DrillReport) -> Vec<TestCase> {
    let mut cases = vec![TestCase { class: "drill", seconds: None, name: "verdict".to_owned(), result: whole(report) }];
    let several = report.episodes.len() > 1;
    for (number, episode) in (1..).zip(&report.episodes) {
        let of = if several { format!(" of recovery {number}, {}", episode.runbook.id) } else { String::new() };
        cases.extend(objectives(report, episode, &of));
    }
    cases.extend((1..).zip(&report.lags).map(|(number, lag)| {
        let said =
            lag.missing.clone().unwrap_or_else(|| format!("{}; longest {}", lag.wanted(), measured(lag.longest_s)));
        objective(report, format!("lag {number} of {}", lag.standby), lag.verdict, said)
    }));
    cases.extend((1..).zip(&report.routines).map(|(number, routine)| {
        let failure = routine.failure.as_ref().map_or_else(String::new, |failure| format!(": {failure}"));
        let said = format!("wanted {}; {}{failure}", routine.wanted(), routine.outcome);
        objective(report, format!("routine {number}, {}", routine.runbook.id), routine.verdict, said)
    }));
    cases.extend(report.checks.iter().map(|check| self::check(check, several)));
    cases.extend(report.not_applied.iter().flatten().map(|check| not_applied(check, several)));
    cases.extend(controls(report));
    cases
}

/// The verdict over everything, by what the drill proves.
fn whole(report: &DrillReport) -> Ended {
    let said = std::iter::once(sentence(report)).chain(reasons(report)).collect::<Vec<_>>().join("\n");
    match proof(report) {
        Proof::Passed => Ended::Passed(said),
        Proof::Failed => Ended::Failure(said),
        Proof::None => Ended::Error(said),
    }
}

fn judged(verdict: Verdict, said: String) -> Ended {
    match verdict {
        Verdict::Met => Ended::Passed(said),
        Verdict::Missed => Ended::Failure(said),
        Verdict::Unmeasured => Ended::Error(said),
    }
}

/// A number of an unmeasured drill may lie within its objective; that is no pass.
fn objective(report: &DrillReport, name: String, verdict: Verdict, said: String) -> TestCase {
    let result = match (verdict, report.verdict) {
        (Verdict::Met, Verdict::Unmeasured) => Ended::Error(format!("within it, but not proven: {said}")),
        _ => judged(verdict, said),
    };
    TestCase { class: "objective", seconds: None, name, result }
}

fn objectives(report: &DrillReport, EpisodeReport { rto, rpo, .. }: &EpisodeReport, of: &str) -> [TestCase; 2] {
    let said = |actual: Option<Interval>, allowed: Option<f64>, missing: &Option<String>| {
        let allowed = allowed.map_or_else(|| "no objective".to_owned(), |seconds| format!("{seconds} s allowed"));
        let missing = missing.as_ref().map_or_else(String::new, |missing| format!("; {missing}"));
        format!("{}, {allowed}{missing}", measured(actual))
    };
    [
        objective(report, format!("recovery time{of}"), rto.verdict, said(rto.judged_s, rto.objective_s, &rto.missing)),
        objective(
            report,
            format!("recovery point{of}"),
            rpo.verdict,
            said(rpo.actual_s, rpo.objective_s, &rpo.missing),
        ),
    ]
}

fn measured(interval: Option<Interval>) -> String {
    interval.map_or_else(|| "not measured".to_owned(), |interval| interval.to_string())
}

fn named(name: &str, episode: Option<usize>, several: bool) -> String {
    match episode {
        Some(number) if several => format!("{name} of recovery {number}"),
        _ => name.to_owned(),
    }
}

fn check(check: &Check, several: bool) -> TestCase {
    let detail = check.detail.clone();
    let result = match (check.passed && check.measured, check.measured, check.kind) {
        (true, ..) => Ended::Passed(detail),
        (false, true, CheckKind::Result) => Ended::Failure(detail),
        (false, ..) => Ended::Error(detail),
    };
    TestCase { class: "check", seconds: None, name: named(&check.name, check.episode, several), result }
}

fn not_applied(check: &NotApplied, several: bool) -> TestCase {
    let result = Ended::Skipped(format!("does not apply: the drill would need {}", check.needs));
    TestCase { class: "check", seconds: None, name: named(&check.name, check.episode, several), result }
}

/// The known breakages and the run without a fault; where they were not run, a case says so.
fn controls(report: &DrillReport) -> Vec<TestCase> {
    let case = |name: &str, result: Ended| TestCase { class: "control", seconds: None, name: name.to_owned(), result };
    let not_run = || Ended::Skipped("not run".to_owned());
    let mut cases: Vec<TestCase> = report.controls.iter().map(|it| case(&it.name, control(it))).collect();
    if cases.is_empty() {
        cases.push(case("known breakages", not_run()));
    }
    let quiet = match &report.control_run {
        None => not_run(),
        Some(run) if run.passed => Ended::Passed(run.detail.clone()),
        Some(run) if run.verdict == Verdict::Unmeasured => Ended::Error(run.detail.clone()),
        Some(run) => Ended::Failure(run.detail.clone()),
    };
    cases.push(case("the same without a fault", quiet));
    cases
}

fn control(control: &ControlReport) -> Ended {
    match (control.turned_red, control.measured) {
        (true, _) => Ended::Passed(control.detail.clone()),
        (false, true) => Ended::Failure(format!("the drill stayed green: {}", control.detail)),
        (false, false) => Ended::Error(format!("it showed nothing: {}", control.detail)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::drill::{Sample, testing};

    #[test]
    fn a_drill_as_a_suite() {
        let mut report = testing::report();
        report.samples.push(Sample {
            run: "dr-003-20261121-0002".to_owned(),
            verdict: Verdict::Unmeasured,
            rto_s: None,
            rpo_s: None,
        });
        insta::assert_snapshot!(junit(&report));
    }

    #[test]
    fn each_result_has_its_element() {
        let mut report = testing::report();
        let check = |kind, passed, measured| {
            let name = format!("{kind:?}-{passed}-{measured}");
            Check { name, episode: None, kind, passed, measured, detail: "seen".to_owned() }
        };
        use CheckKind::{Evidence, Result};
        report.checks = vec![
            check(Result, true, true),
            check(Result, false, true),
            check(Result, false, false),
            check(Evidence, false, true),
        ];
        let control = |turned_red, measured| {
            let name = format!("control-{turned_red}-{measured}");
            ControlReport { name, turned_red, measured, by: None, detail: "seen".to_owned() }
        };
        report.controls = vec![control(true, true), control(false, true), control(false, false)];
        report.control_run = None;
        let text = junit(&report);
        let element = |name: &str| {
            let case = text.lines().find(|line| line.contains(&format!(" name=\"{name}\""))).expect(name);
            case.split("><").nth(1).and_then(|rest| rest.split([' ', '>']).next()).expect("an element").to_owned()
        };
        let check = |name: &str, expected: &str| assert_eq!(element(name), expected, "{name}");
        check("Result-true-true", "system-out");
        check("Result-false-true", "failure");
        check("Result-false-false", "error");
        check("Evidence-false-true", "error");
        check("standbys-agree", "skipped");
        check("control-true-true", "system-out");
        check("control-false-true", "failure");
        check("control-false-false", "error");
        check("the same without a fault", "skipped");
    }

    proptest! {
        #[test]
        fn no_suite_is_green_but_that_of_a_drill_that_passed(report in testing::reports()) {
            let text = junit(&report);
            let suite = text.lines().find(|line| line.contains("<testsuite ")).expect("a suite");
            let green = suite.contains("failures=\"0\" errors=\"0\"");
            prop_assert!(!green || proof(&report) == Proof::Passed, "{}", text);
            let passed = |class: &str| {
                text.lines().any(|line| line.contains(&format!("classname=\"{class}\"")) && line.contains("<system-out>"))
            };
            prop_assert_eq!(passed("drill"), proof(&report) == Proof::Passed, "{}", text);
            prop_assert!(report.verdict != Verdict::Unmeasured || !passed("objective"), "{}", text);
        }

        #[test]
        fn it_is_well_formed_whatever_is_in_it(report in testing::reports(), text in testing::texts()) {
            let mut report = report;
            testing::fill(&mut report, &text);
            let document = junit(&report);
            let cases = testing::well_formed(&document).map_err(TestCaseError::fail)?;
            prop_assert_eq!(cases, document.matches("<testcase ").count());
        }
    }

    #[test]
    fn the_check_for_well_formed_xml_sees_what_is_not() {
        for wrong in [
            "<a>",
            "<a></b>",
            "<a x=\"<\"/>",
            "<a>&x</a>",
            "<a>\u{1}</a>",
            "<a/><b/>",
            "<a x=1/>",
            "<a x=\"1\" x=\"2\"/>",
            "a",
        ] {
            assert!(testing::well_formed(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            testing::well_formed("<?xml version=\"1.0\"?>\n<a x=\"1\" y=\"&lt;\">b&#13;<testcase/></a>\n"),
            Ok(1)
        );
    }
}
