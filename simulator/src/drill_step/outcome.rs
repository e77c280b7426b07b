//! The answer to the engine: only a drill that was met is a step that succeeded.

use std::path::Path;

use lifeboat_core::{
    failure::{Failure, Reason},
    input::Done,
};
use serde_json::{Value, json};

use crate::{
    drill::DrillError,
    measurement::{Interval, Verdict},
    report::{Check, CheckKind, DrillReport},
    testbed::TestbedError,
};

/// The result of a drill with its files in that folder. A missed drill is not repeated: a recovery that meets its objectives only
/// sometimes does not meet them. An unmeasured drill proves nothing, so it may be repeated.
pub(super) fn of_report(report: &DrillReport, folder: &Path) -> Result<Done, Failure> {
    let summary = summary(report);
    let reason = |code: &str| {
        let open = open(report);
        Reason::new(code, format!("{summary}{open}; run `lifeboat report {}` for the full report", report.run))
    };
    match report.verdict {
        Verdict::Met => Ok(Done { outputs: outputs(report, folder), summary }),
        Verdict::Missed => Err(Failure::Permanent(reason("drill-missed"))),
        Verdict::Unmeasured => Err(Failure::Transient(reason("drill-unmeasured"))),
    }
}

/// A drill that could not be held. Systems that did not start, or that failed without a fault, may work the next time; wrong files,
/// or a machine without a program, will not.
pub(super) fn of_error(error: &DrillError) -> Failure {
    let reason = Reason::new(error.code(), error.to_string());
    match error {
        DrillError::UnknownDrill { .. } | DrillError::Diagnostics { .. } | DrillError::Nested { .. } => {
            Failure::InvalidInput(reason)
        }
        DrillError::Testbed(TestbedError::Unavailable(_) | TestbedError::Unreachable { .. })
        | DrillError::File { .. }
        | DrillError::NoStore { .. }
        | DrillError::Host(_)
        | DrillError::Panicked(_) => Failure::Permanent(reason),
        DrillError::Testbed(_)
        | DrillError::Engine(_)
        | DrillError::Database { .. }
        | DrillError::Connect(_)
        | DrillError::Fault(_)
        | DrillError::Workload(_)
        | DrillError::Ledger(_)
        | DrillError::Stopped => Failure::Transient(reason),
    }
}

/// `DR-003 was met: RTO 9.1 to 9.3 s, RPO 0 to 0.2 s`.
fn summary(report: &DrillReport) -> String {
    let (rto, rpo) = longest(report);
    let length = |length: Option<Interval>| length.map_or_else(|| "unmeasured".to_owned(), |length| length.to_string());
    let was = if report.verdict == Verdict::Unmeasured { "is" } else { "was" };
    if report.episodes.is_empty() {
        return format!("{} {was} {}; no recovery was needed", report.drill, report.verdict);
    }
    format!("{} {was} {}: RTO {}, RPO {}", report.drill, report.verdict, length(rto), length(rpo))
}

/// The checks that did not hold or could not be evaluated.
fn open(report: &DrillReport) -> String {
    let is_open = |check: &&Check| match report.verdict {
        Verdict::Missed => check.kind == CheckKind::Result && check.measured && !check.passed,
        _ => !check.passed || !check.measured,
    };
    let names: Vec<&str> = report.checks.iter().filter(is_open).map(|check| check.name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!("; checks that did not hold: {}", names.join(", ")) }
}

fn longest(report: &DrillReport) -> (Option<Interval>, Option<Interval>) {
    let longest = report.longest();
    (longest.and_then(|episode| episode.rto.service_s), longest.and_then(|episode| episode.rpo.actual_s))
}

fn outputs(report: &DrillReport, folder: &Path) -> Value {
    let (rto, rpo) = longest(report);
    let mut outputs = json!({
        "drill": report.drill,
        "verdict": report.verdict,
        "run": report.run,
        "report": folder.join("report.json").display().to_string(),
    });
    for (name, length) in [("rto_s", rto), ("rpo_s", rpo)] {
        match length {
            Some(Interval { low, high: Some(high) }) => outputs[name] = json!({ "low": low, "high": high }),
            Some(Interval { low, high: None }) => outputs[name] = json!({ "low": low }),
            None => {}
        }
    }
    outputs
}

#[cfg(test)]
mod tests {
    use std::{io, path::PathBuf};

    use lifeboat_core::{failure::FailureKind, outputs};

    use super::*;
    use crate::{
        drill::hold_action,
        report::fixture,
        testbed::{Backend, Unavailable},
    };

    fn held(verdict: Verdict) -> Result<Done, Failure> {
        of_report(&DrillReport { verdict, ..fixture() }, Path::new("/srv/runs/x"))
    }

    #[test]
    fn only_a_drill_that_was_met_is_a_success_and_its_outputs_are_as_declared() {
        let done = held(Verdict::Met).unwrap();
        let declared = hold_action().outputs;
        outputs::decode(&done.outputs.to_string(), &declared).unwrap();
        assert_eq!(done.outputs["verdict"], "met");
        assert_eq!(done.outputs["report"], "/srv/runs/x/report.json");
        let longest = fixture().longest().unwrap().rto.service_s.unwrap();
        assert_eq!(done.outputs["rto_s"]["high"].as_f64(), longest.high);
        assert!(done.summary.starts_with("DR-003 was met: RTO "), "{}", done.summary);
        let check = |verdict: Verdict, kind: FailureKind, code: &str| {
            let failure = held(verdict).unwrap_err();
            assert_eq!((failure.kind(), failure.reason().code.as_str()), (kind, code));
            assert!(failure.reason().message.contains("lifeboat report "), "{failure:?}");
        };
        check(Verdict::Missed, FailureKind::Permanent, "drill-missed");
        check(Verdict::Unmeasured, FailureKind::Transient, "drill-unmeasured");
    }

    #[test]
    fn a_length_that_has_no_end_or_was_not_measured_is_still_as_declared() {
        let mut report = DrillReport { verdict: Verdict::Met, ..fixture() };
        report.episodes[0].rto.service_s = Some(Interval::more_than(3.0));
        report.episodes[0].rpo.actual_s = None;
        let done = of_report(&report, Path::new("x")).unwrap();
        outputs::decode(&done.outputs.to_string(), &hold_action().outputs).unwrap();
        assert_eq!((&done.outputs["rto_s"], &done.outputs["rpo_s"]), (&json!({ "low": 3.0 }), &Value::Null));
    }

    #[test]
    fn a_failure_names_what_did_not_hold() {
        let mut report = DrillReport { verdict: Verdict::Missed, ..fixture() };
        report.checks[0] = Check { kind: CheckKind::Result, measured: true, passed: false, ..report.checks[0].clone() };
        let failure = of_report(&report, Path::new("x")).unwrap_err();
        let expected = format!("checks that did not hold: {}", report.checks[0].name);
        assert!(failure.reason().message.contains(&expected), "{failure:?}");
    }

    #[test]
    fn what_may_go_better_the_next_time_is_transient() {
        let check = |error: DrillError, kind: FailureKind| assert_eq!(of_error(&error).kind(), kind, "{error}");
        let unavailable = Unavailable { reason: "no server binaries".to_owned() };
        let full = TestbedError::Resource { what: "a port", source: io::Error::other("none left") };
        let file = DrillError::File { path: PathBuf::from("x"), what: "read", source: io::Error::other("no") };
        let unknown = DrillError::UnknownDrill { name: "x".to_owned(), known: Backend::Process.as_str().to_owned() };
        check(DrillError::Testbed(TestbedError::Unavailable(unavailable)), FailureKind::Permanent);
        check(DrillError::Testbed(full), FailureKind::Transient);
        check(file, FailureKind::Permanent);
        check(unknown, FailureKind::InvalidInput);
        check(DrillError::Stopped, FailureKind::Transient);
        check(DrillError::Panicked("x".to_owned()), FailureKind::Permanent);
    }
}
