//! The sentence of drills that went in every way.

use proptest::prelude::*;

use super::*;
use crate::drill::{
    FaultReport, SystemInfo,
    testing::{check, lag, report, reports, routine},
};

type Change = fn(&mut DrillReport);

const STORIES: [(&str, Change); 16] = [
    ("met", |_| {}),
    ("on a testbed that is real only in part", |report| {
        let double =
            SystemInfo { role: "oncall".to_owned(), fidelity: Fidelity::Emulated, ..report.testbed.systems[0].clone() };
        report.testbed.systems.push(double);
    }),
    ("of an earlier version", |report| {
        report.held = None;
        report.episodes[0].faults.clear();
    }),
    ("met with a loss", |report| {
        report.writes.lost = Some(3);
        report.episodes[0].rpo.actual_s = Some(Interval::between(1.0, 2.04));
    }),
    ("too slow, and too much is lost", |report| {
        report.verdict = Verdict::Missed;
        report.writes.lost = Some(700);
        let episode = &mut report.episodes[0];
        (episode.rto.judged_s, episode.rto.verdict) = (Some(Interval::between(5000.0, 5001.0)), Verdict::Missed);
        (episode.rpo.actual_s, episode.rpo.verdict) = (Some(Interval::between(400.0, 401.0)), Verdict::Missed);
    }),
    ("never back", |report| {
        report.verdict = Verdict::Missed;
        report.writes.lost = None;
        let episode = &mut report.episodes[0];
        (episode.rto.judged_s, episode.rto.verdict) = (Some(Interval::more_than(61.23)), Verdict::Missed);
        episode.rto.clock = "detect".to_owned();
        episode.rpo.residual_damage = None;
        report.checks.push(check("rows-equal-ledger", CheckKind::Result, false));
    }),
    ("damage is left", |report| {
        report.verdict = Verdict::Missed;
        report.episodes[0].rpo.residual_damage = Some(12);
        report.writes.unexpected = Some(2);
        report.checks.push(check("endpoints-agree", CheckKind::Result, true));
    }),
    ("too little evidence", |report| {
        report.verdict = Verdict::Unmeasured;
        let episode = &mut report.episodes[0];
        (episode.rto.judged_s, episode.rto.verdict) = (None, Verdict::Unmeasured);
        report.checks.push(check("enough-writes-before-fault", CheckKind::Evidence, true));
    }),
    ("the objective lies between the bounds", |report| {
        report.verdict = Verdict::Unmeasured;
        let rto = &mut report.episodes[0].rto;
        (rto.objective_s, rto.verdict) = (Some(3.0), Verdict::Unmeasured);
    }),
    ("blind to a known breakage", |report| {
        report.controls[0].turned_red = false;
        report.control_run.as_mut().unwrap().passed = false;
    }),
    ("two recoveries", |report| {
        let mut back = report.episodes[0].clone();
        back.runbook.id = "DR-003-BACK".to_owned();
        back.faults[0].kind = "host-crash".to_owned();
        back.rto.objective_s = None;
        report.episodes.push(back);
    }),
    ("standbys alone", |report| {
        report.drill = "standby-lag".to_owned();
        let fault = &report.episodes[0].faults[0];
        report.faults = ["delay", "loss", "delay", "host-crash"]
            .map(|kind| FaultReport { kind: kind.to_owned(), ..fault.clone() })
            .into();
        report.episodes.clear();
        report.lags = vec![lag(Verdict::Met, Some(0.4), &[]), lag(Verdict::Met, Some(3.01), &["host-crash"])];
    }),
    ("standbys that were too far behind", |report| {
        report.drill = "standby-lag".to_owned();
        report.verdict = Verdict::Missed;
        report.episodes.clear();
        let verdicts = [Verdict::Met, Verdict::Missed, Verdict::Missed, Verdict::Unmeasured];
        report.lags = verdicts.map(|verdict| lag(verdict, None, &["partition"])).into();
    }),
    ("verifications of damaged backups", |report| {
        report.drill = "BV-001".to_owned();
        report.episodes.clear();
        report.routines = vec![routine(Verdict::Met, None), routine(Verdict::Met, Some("pg-wal-gap"))];
    }),
    ("verifications that saw nothing", |report| {
        report.drill = "BV-001".to_owned();
        report.verdict = Verdict::Missed;
        report.episodes.clear();
        let verdicts = [Verdict::Met, Verdict::Missed, Verdict::Missed];
        report.routines = verdicts.map(|verdict| routine(verdict, Some("pg-seal-differs"))).into();
    }),
    ("nothing at all", |report| {
        report.verdict = Verdict::Unmeasured;
        report.episodes.clear();
        report.testbed.systems.clear();
    }),
];

#[test]
fn every_end_reads_as_a_sentence() {
    let told = STORIES.map(|(story, change)| {
        let mut report = report();
        change(&mut report);
        format!("{story}:\n  {}", sentence(&report))
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_bound_is_never_told_better_than_it_is() {
    let check = |seconds: f64, low: &str, high: &str| {
        assert_eq!((at_least(seconds).as_str(), at_most(seconds).as_str()), (low, high), "{seconds}");
    };
    check(0.0, "0 s", "0 s");
    check(0.031, "0.03 s", "0.04 s");
    check(2.5, "2.5 s", "2.5 s");
    check(3.41, "3.4 s", "3.5 s");
    check(59.97, "59.9 s", "1 min");
    check(61.23, "1 min 01 s", "1 min 02 s");
    check(3599.5, "59 min 59 s", "1 h");
    check(3600.0, "1 h", "1 h");
    check(5001.0, "1 h 23 min", "1 h 24 min");
    assert_eq!([exact(300.0), exact(90.0), exact(3.0)], ["5 min", "1 min 30 s", "3 s"]);
}

proptest! {
    #[test]
    fn the_sentence_never_says_more_than_the_report(report in reports()) {
        let said = sentence(&report);
        prop_assert!(!said.contains('\n') && said.ends_with('.') && said.starts_with("On 2026-11-21 "), "{}", said);
        let ended = match proof(&report) {
            Proof::Passed => " and passed: ",
            Proof::Failed => " and failed: ",
            Proof::None => " and proved nothing: ",
        };
        prop_assert!(said.contains(ended), "{}", said);
        let writes = &report.writes;
        let nothing = writes.lost == Some(0) && writes.lost_loaded_rows == Some(0);
        prop_assert!(nothing || !said.contains("nothing that was acknowledged was lost"), "{}", said);
        let recovered = !(report.episodes.is_empty() && report.lags.is_empty() && report.routines.is_empty());
        let some = writes.lost.is_some_and(|lost| lost > 0);
        prop_assert!(!(recovered && some) || said.contains(" lost"), "{}", said);
        let unknown = writes.lost.is_none() || writes.lost_loaded_rows.is_none();
        prop_assert!(!(recovered && unknown) || said.contains("what was lost was not measured"), "{}", said);
        let is_back = report.episodes.iter().any(|it| it.rto.judged_s.is_some_and(|judged| judged.high.is_some()));
        prop_assert!(is_back || !said.contains("was back"), "{}", said);
        let left = report.residual_damage().is_some_and(|left| left > 0);
        prop_assert!(!left || said.contains("still not right"), "{}", said);
    }
}
