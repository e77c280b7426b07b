//! Several runs of a drill in one report.

use std::cmp::Ordering;

use super::DrillReport;
use crate::measurement::Verdict;

/// Of several reports the worst, with the samples of all. Controls and the run without a fault are kept wherever they were
/// held. `None` where there is no report.
pub fn merged(reports: Vec<DrillReport>) -> Option<DrillReport> {
    let samples = reports.iter().flat_map(|report| report.samples.clone()).collect();
    let controls = reports.iter().rfind(|report| !report.controls.is_empty()).map(|report| report.controls.clone());
    let control_run = reports.iter().rev().find_map(|report| report.control_run.clone());
    let mut worst = reports.into_iter().max_by(worse)?;
    worst.samples = samples;
    worst.controls = controls.unwrap_or_default();
    worst.control_run = control_run;
    Some(worst)
}

/// By the verdict, and among equals by the recovery time, of which one that never ended is the longest.
fn worse(a: &DrillReport, b: &DrillReport) -> Ordering {
    let rank = |report: &DrillReport| match report.verdict {
        Verdict::Met => 0,
        Verdict::Unmeasured => 1,
        Verdict::Missed => 2,
    };
    let longest = |report: &DrillReport| {
        let judged = report.longest().and_then(|episode| episode.rto.judged_s);
        judged.map_or(0.0, |interval| interval.high.unwrap_or(f64::INFINITY))
    };
    rank(a).cmp(&rank(b)).then(longest(a).total_cmp(&longest(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        measurement::Interval,
        report::{ControlReport, Sample, fixture},
    };

    fn report(run: &str, verdict: Verdict, rto: Interval) -> DrillReport {
        let mut report = fixture();
        report.run = run.to_owned();
        report.verdict = verdict;
        report.episodes[0].rto.judged_s = Some(rto);
        report.samples = vec![Sample { run: run.to_owned(), verdict, rto_s: Some(rto), rpo_s: None }];
        (report.controls, report.control_run) = (Vec::new(), None);
        report
    }

    #[test]
    fn several_runs_are_as_good_as_the_worst_and_keep_every_sample() {
        use Verdict::{Met, Missed, Unmeasured};
        let (short, long, endless) =
            (Interval::between(1.0, 2.0), Interval::between(8.0, 9.0), Interval::more_than(3.0));
        let check = |runs: &[(Verdict, Interval)], worst: &str| {
            let reports: Vec<_> =
                runs.iter().zip(["a", "b", "c"]).map(|((verdict, rto), run)| report(run, *verdict, *rto)).collect();
            let expected = reports[["a", "b", "c"].iter().position(|run| *run == worst).unwrap()].verdict;
            let merged = merged(reports).unwrap();
            assert_eq!((merged.run.as_str(), merged.verdict), (worst, expected), "{runs:?}");
            let samples: Vec<_> = merged.samples.iter().map(|sample| sample.run.as_str()).collect();
            assert_eq!(samples, ["a", "b", "c"][..runs.len()]);
        };
        check(&[(Met, long)], "a");
        check(&[(Met, long), (Missed, short), (Unmeasured, long)], "b");
        check(&[(Met, long), (Met, short), (Unmeasured, short)], "c");
        check(&[(Met, short), (Met, long), (Met, short)], "b");
        check(&[(Missed, long), (Missed, endless), (Missed, long)], "b");
    }

    #[test]
    fn controls_are_kept_whichever_run_is_the_worst() {
        let control = ControlReport {
            name: "no-op-restore".into(),
            turned_red: true,
            measured: true,
            by: None,
            detail: "seen".into(),
        };
        let mut last = report("b", Verdict::Met, Interval::between(1.0, 2.0));
        last.controls = vec![control.clone()];
        let merged = merged(vec![report("a", Verdict::Missed, Interval::between(1.0, 2.0)), last]).unwrap();
        assert_eq!((merged.run.as_str(), merged.controls), ("a", vec![control]));
        assert!(super::merged(Vec::new()).is_none());
    }
}
