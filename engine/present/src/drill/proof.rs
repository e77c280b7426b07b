//! What a drill proves, and the words for it.

use super::{DrillReport, Verdict};
use crate::{Text, Tone};

/// What a drill proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The objectives were met, and the drill would have seen a failure.
    Passed,
    /// An objective was missed, or the drill does not see failures.
    Failed,
    /// Nothing: it could not measure what it should.
    None,
}

/// What the report proves. Only `met`, with every control red, is a pass.
pub fn proof(report: &DrillReport) -> Proof {
    let green_control = report.controls.iter().any(|control| !control.turned_red)
        || report.control_run.as_ref().is_some_and(|run| !run.passed);
    match report.verdict {
        Verdict::Met if !green_control => Proof::Passed,
        Verdict::Met | Verdict::Missed => Proof::Failed,
        Verdict::Unmeasured => Proof::None,
    }
}

/// The verdict over one objective. A number of an unmeasured drill may lie within it; that is no pass, and must not look like
/// one.
pub(super) fn proven(report: &DrillReport, part: Verdict) -> Text {
    match (part, report.verdict) {
        (Verdict::Met, Verdict::Unmeasured) => Text::toned(Tone::Warn, "within it, but not proven"),
        _ => of(part),
    }
}

/// The word for a verdict; its tone says how bad it is.
pub(super) fn of(verdict: Verdict) -> Text {
    let tone = match verdict {
        Verdict::Met => Tone::Good,
        Verdict::Missed => Tone::Bad,
        Verdict::Unmeasured => Tone::Warn,
    };
    Text::toned(tone, verdict.to_string())
}

/// The word for a verdict as a line of the history has it; its tone says how bad it is.
pub fn verdict(word: &str) -> Text {
    let tone = match word {
        "met" => Tone::Good,
        "missed" | "failed" => Tone::Bad,
        _ => Tone::Warn,
    };
    Text::toned(tone, word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::{ControlReport, ControlRun, read};

    fn report() -> DrillReport {
        read(include_str!("tests/report.json")).unwrap()
    }

    fn control(name: &str, turned_red: bool) -> ControlReport {
        let detail = "never reached".to_owned();
        ControlReport { name: name.to_owned(), turned_red, measured: true, by: None, detail }
    }

    #[test]
    fn only_a_whole_pass_is_a_pass() {
        let check = |change: fn(&mut DrillReport), expected: Proof| {
            let mut report = report();
            report.controls.clear();
            report.control_run = None;
            change(&mut report);
            assert_eq!(proof(&report), expected, "{report:?}");
        };
        let run = |passed: bool| {
            Some(ControlRun {
                passed,
                verdict: Verdict::Met,
                rto_s: None,
                rpo_s: None,
                acknowledged: 0,
                detail: String::new(),
            })
        };
        check(|_| {}, Proof::Passed);
        check(|report| report.verdict = Verdict::Missed, Proof::Failed);
        check(|report| report.verdict = Verdict::Unmeasured, Proof::None);
        check(|report| report.controls.push(control("a", true)), Proof::Passed);
        check(|report| report.controls.push(control("a", false)), Proof::Failed);
        let (passed, failed) = (run(true), run(false));
        let with = |run: Option<ControlRun>| proof(&DrillReport { control_run: run, controls: Vec::new(), ..report() });
        assert_eq!((with(passed), with(failed)), (Proof::Passed, Proof::Failed));
    }
}
