//! Why the verdict is what it is.

use crate::drill::{DrillReport, EpisodeReport, Verdict};

/// Everything that stands against `met`; of a drill that was met: nothing.
pub fn reasons(report: &DrillReport) -> Vec<String> {
    let objective = |name: &str, verdict: Verdict, missing: &Option<String>| match (verdict, missing) {
        (Verdict::Met, _) => None,
        (Verdict::Missed, _) => Some(format!("{name}: the objective is missed")),
        (Verdict::Unmeasured, None) => Some(format!("{name}: not measured")),
        (Verdict::Unmeasured, Some(missing)) => Some(format!("{name}: not measured: {missing}")),
    };
    let objectives = report.episodes.iter().flat_map(|EpisodeReport { rto, rpo, .. }| {
        [objective("Recovery time", rto.verdict, &rto.missing), objective("Recovery point", rpo.verdict, &rpo.missing)]
    });
    let lags =
        report.lags.iter().filter_map(|lag| objective(&format!("Lag of {}", lag.standby), lag.verdict, &lag.missing));
    let checks = report.checks.iter().filter(|check| !check.passed);
    let checks = checks.map(|check| format!("{}: {}", check.name, check.detail));
    let controls = report.controls.iter().filter(|control| !control.turned_red);
    let controls = controls.map(|control| {
        let word = if control.measured { "stayed green" } else { "shows nothing" };
        format!("control {} {word}: {}", control.name, control.detail)
    });
    let run =
        report.control_run.iter().filter(|run| !run.passed).map(|run| format!("run without a fault: {}", run.detail));
    objectives.flatten().chain(lags).chain(checks).chain(controls).chain(run).collect()
}
