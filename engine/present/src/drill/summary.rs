//! What a drill measured, for people.

use jiff::SignedDuration;

use super::{
    DrillReport, EpisodeReport, Interval, LagReport, RoutineReport,
    proof::{of, proven},
    sentence::sentence,
};
use crate::{Text, Tone, elapsed};

/// The lines of the summary.
pub fn lines(report: &DrillReport) -> Vec<Text> {
    let mut lines = vec![head(report), format!("  {}", sentence(report)).into()];
    for episode in &report.episodes {
        if report.episodes.len() > 1 {
            lines.push(format!("  recovery  {}: {}", episode.runbook.id, episode.outcome).into());
        }
        lines.push(rto(episode, report));
        lines.push(rpo(episode, report));
        lines.extend(missing(episode));
    }
    lines.extend(report.lags.iter().map(|it| lag(it, report)));
    lines.extend(report.routines.iter().map(|it| routine(it, report)));
    lines.push(writes(report));
    lines.extend(checks(report));
    lines.extend(controls(report));
    lines.extend(control_run(report));
    lines.extend(scaled(report));
    lines.extend(host(report));
    lines.extend(samples(report));
    lines
}

fn head(report: &DrillReport) -> Text {
    let servers = report.testbed.systems.iter().filter(|system| system.kind == "postgres");
    let versions: Vec<&str> = servers.map(|system| system.version.as_str()).collect();
    let (backend, seed) = (report.testbed.backend.as_str(), report.seed);
    Text::name(report.drill.as_str())
        + "  "
        + of(report.verdict)
        + format!("  (testbed {backend}: {}; seed {seed})", versions.join(", "))
}

fn rto(episode: &EpisodeReport, report: &DrillReport) -> Text {
    let rto = &episode.rto;
    let (measured, objective) = (interval(rto.service_s), objective(rto.objective_s));
    let (procedure, decision) = (interval(rto.procedure_s), interval(rto.decision_s));
    Text::from(format!("  RTO       {measured}  of {objective}  "))
        + proven(report, rto.verdict)
        + format!("  (procedure {procedure}, decision {decision})")
}

fn rpo(episode: &EpisodeReport, report: &DrillReport) -> Text {
    let rpo = &episode.rpo;
    let (measured, objective) = (interval(rpo.actual_s), objective(rpo.objective_s));
    let (pre_fault, collateral) = (interval(rpo.pre_fault_s), interval(rpo.collateral_s));
    let residual = rpo.residual_damage.map_or_else(|| "unmeasured".to_owned(), |damage| damage.to_string());
    Text::from(format!("  RPO       {measured}  of {objective}  "))
        + proven(report, rpo.verdict)
        + format!("  (pre-fault {pre_fault}, collateral {collateral}, residual damage {residual})")
}

/// What was missing where an objective could not be held against anything.
fn missing(episode: &EpisodeReport) -> impl Iterator<Item = Text> {
    let parts = [("RTO", &episode.rto.missing), ("RPO", &episode.rpo.missing)];
    parts.into_iter().filter_map(|(name, missing)| Some(format!("  missing   {name}: {}", missing.as_ref()?).into()))
}

/// How far a standby was behind, while it was watched.
fn lag(lag: &LagReport, report: &DrillReport) -> Text {
    let during = if lag.faults.is_empty() { String::new() } else { format!(" during {}", lag.faults.join(", ")) };
    let standby = &lag.standby;
    let measured = if lag.within_s.is_some() {
        let (took, to) = (interval(lag.caught_up_s), objective(lag.at_most_s));
        format!("{standby}{during} caught up to {to} in {took}  of {}", objective(lag.within_s))
    } else {
        let wanted = [("at least", lag.at_least_s), ("at most", lag.at_most_s)];
        let wanted = wanted.into_iter().filter(|(_, seconds)| seconds.is_some());
        let wanted: Vec<String> = wanted.map(|(word, seconds)| format!("{word} {}", objective(seconds))).collect();
        format!("{standby}{during} {}  of {}", interval(lag.longest_s), wanted.join(", "))
    };
    let missing = lag.missing.as_ref().map(|missing| format!(": {missing}"));
    Text::from(format!("  lag       {measured}  ")) + proven(report, lag.verdict) + missing.unwrap_or_default()
}

/// How a runbook ended that recovers nothing.
fn routine(routine: &RoutineReport, report: &DrillReport) -> Text {
    let during =
        if routine.faults.is_empty() { String::new() } else { format!(" during {}", routine.faults.join(", ")) };
    let seconds = routine.until.duration_since(routine.from).as_secs_f64();
    let (id, outcome, wanted) = (&routine.runbook.id, &routine.outcome, routine.wanted());
    Text::from(format!("  routine   {id}{during} {outcome} after {seconds:.1} s  of {wanted}  "))
        + proven(report, routine.verdict)
}

fn writes(report: &DrillReport) -> Text {
    let writes = &report.writes;
    let counted = |count: Option<usize>, what: &str| match count {
        Some(count) => format!("{count} {what}"),
        None => format!("{what} unmeasured"),
    };
    let (lost, unexpected) = (counted(writes.lost, "lost"), counted(writes.unexpected, "unexpected"));
    let (acknowledged, unknown) = (writes.acknowledged, writes.unknown);
    format!("  writes    {acknowledged} acknowledged, {lost}, {unknown} unknown, {unexpected}").into()
}

/// How busy the machine was, where that can have thinned the evidence.
fn host(report: &DrillReport) -> Option<Text> {
    let host = report.environment.host.filter(|host| host.before.too_busy)?;
    let load = |load: Option<f64>| load.map_or_else(|| "?".to_owned(), |load| format!("{load:.1}"));
    let loads = format!(
        ": load {} on {} processors before, {} at the fault, {} at the end",
        load(host.before.load.load_1m),
        report.environment.processors,
        load(host.at_fault.load_1m),
        load(host.at_end.load_1m)
    );
    Some(Text::from("  machine   ") + Text::toned(Tone::Warn, "too busy for the probes") + loads)
}

/// How many checks passed, and each that did not.
fn checks(report: &DrillReport) -> Vec<Text> {
    let failed: Vec<_> = report.checks.iter().filter(|check| !check.passed).collect();
    let tone = if failed.is_empty() { Tone::Good } else { Tone::Bad };
    let passed = format!("{} of {} passed", report.checks.len() - failed.len(), report.checks.len());
    let head = Text::from("  checks    ") + Text::toned(tone, passed);
    let details = failed.iter().map(|check| {
        let (tone, mark) = if check.measured { (Tone::Bad, "✘") } else { (Tone::Warn, "?") };
        Text::from("    ") + Text::toned(tone, mark) + format!(" {}: {}", check.name, check.detail)
    });
    std::iter::once(head).chain(details).collect()
}

/// Each negative control, and whether the drill saw it.
fn controls(report: &DrillReport) -> impl Iterator<Item = Text> {
    report.controls.iter().map(|control| {
        let (seen, more) = match (control.turned_red, control.measured) {
            (true, _) => {
                let by = control.by.as_deref().unwrap_or("unknown");
                (Text::toned(Tone::Good, "turned red"), format!(" by {by}"))
            }
            (false, false) => (Text::toned(Tone::Warn, "shows nothing"), format!(": {}", control.detail)),
            (false, true) => (Text::toned(Tone::Bad, "stayed green"), ": the drill cannot see this failure".to_owned()),
        };
        Text::from(format!("  control   {} ", control.name)) + seen + more
    })
}

/// The run without a fault, where it was made.
fn control_run(report: &DrillReport) -> Option<Text> {
    let run = report.control_run.as_ref()?;
    let (tone, word) = if run.passed { (Tone::Good, "passed") } else { (Tone::Bad, "failed") };
    let (rto, rpo) = (interval(run.rto_s), interval(run.rpo_s));
    Some(Text::from("  no fault  ") + Text::toned(tone, word) + format!(": RTO {rto}, RPO {rpo}"))
}

/// What the drill shortened, beside what production would have.
fn scaled(report: &DrillReport) -> impl Iterator<Item = Text> {
    report.scaled.iter().map(|scaled| {
        let (name, drill) = (&scaled.name, &scaled.drill);
        format!("  scaled    {name} {drill} instead of {}: {}", scaled.production, scaled.worst_case).into()
    })
}

/// Every run, where there were several.
fn samples(report: &DrillReport) -> impl Iterator<Item = Text> {
    let shown = if report.samples.len() > 1 { report.samples.as_slice() } else { &[] };
    shown.iter().map(|sample| {
        let (rto, rpo) = (interval(sample.rto_s), interval(sample.rpo_s));
        Text::from(format!("  sample    {} ", sample.run)) + of(sample.verdict) + format!(": RTO {rto}, RPO {rpo}")
    })
}

/// `11.9s – 12.1s`; what was not measured says so.
fn interval(interval: Option<Interval>) -> String {
    match interval {
        Some(Interval { low, high: Some(high) }) if elapsed::seconds(low) == elapsed::seconds(high) => {
            elapsed::seconds(high)
        }
        Some(Interval { low, high: Some(high) }) => format!("{} – {}", elapsed::seconds(low), elapsed::seconds(high)),
        Some(Interval { low, high: None }) => format!("> {}", elapsed::seconds(low)),
        None => "unmeasured".to_owned(),
    }
}

fn objective(seconds: Option<f64>) -> String {
    let length = seconds.and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
    length.map_or_else(|| "no objective".to_owned(), elapsed::text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::{Check, CheckKind, ControlReport, HostReport, Load, Readiness, Sample, Verdict, read};

    fn report() -> DrillReport {
        read(include_str!("tests/report.json")).unwrap()
    }

    fn told(report: &DrillReport) -> String {
        lines(report).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    fn check(name: &str, passed: bool) -> Check {
        let (kind, detail) = (CheckKind::Result, "no probe failed".to_owned());
        Check { name: name.to_owned(), episode: None, kind, passed, measured: true, detail }
    }

    fn control(name: &str, turned_red: bool) -> ControlReport {
        let by = turned_red.then(|| "residual-damage".to_owned());
        ControlReport { name: name.to_owned(), turned_red, measured: true, by, detail: "never reached".to_owned() }
    }

    #[test]
    fn the_summary_says_what_was_measured() {
        let mut report = report();
        report.checks = vec![check("rows-equal-ledger", true), check("fault-bit", false)];
        report.controls = vec![control("wrong-target-time", true), control("no-op-restore", false)];
        let sample = |run: &str, verdict, rto_s| Sample { run: run.to_owned(), verdict, rto_s, rpo_s: None };
        report.samples = vec![
            sample("a", Verdict::Met, Some(Interval::between(1.0, 2.0))),
            sample("b", Verdict::Missed, Some(Interval::more_than(9.0))),
        ];
        insta::assert_snapshot!(told(&report));
    }

    #[test]
    fn several_recoveries_are_told_one_after_the_other() {
        let mut report = report();
        let mut back = report.episodes[0].clone();
        back.runbook.id = "DR-002-BACK".to_owned();
        back.outcome = "failed".to_owned();
        report.episodes.push(back);
        let text = told(&report);
        assert_eq!(text.lines().filter(|line| line.starts_with("  RTO")).count(), 2, "{text}");
        assert!(text.contains("\n  recovery  DR-002-BACK: failed\n"), "{text}");
        assert!(!told(&self::report()).contains("\n  recovery  "), "one alone has no name");
    }

    #[test]
    fn what_was_not_measured_is_neither_a_number_nor_a_pass() {
        let mut report = report();
        report.verdict = Verdict::Unmeasured;
        report.writes.lost = None;
        report.episodes[0].rpo.residual_damage = None;
        let text = told(&report);
        assert_eq!(text.matches("within it, but not proven").count(), 2, "{text}");
        assert!(text.contains("5213 acknowledged, lost unmeasured, 2 unknown"), "{text}");
        assert!(text.contains("residual damage unmeasured"), "{text}");
    }

    #[test]
    fn what_was_missing_is_told_with_the_load_of_the_machine() {
        let mut report = report();
        let missing = "too few probes: 24 of `content of sampled rows`, and 25 are needed";
        report.episodes[0].rto.missing = Some(missing.to_owned());
        report.controls = vec![ControlReport { measured: false, ..control("no-op-restore", false) }];
        let load = |load_1m| Load { load_1m, ..Load::default() };
        let before = Readiness {
            processors: 2,
            load: load(Some(9.31)),
            timer_late_median_s: 0.0,
            timer_late_worst_s: 0.0,
            cpu_share: None,
            too_busy: true,
        };
        report.environment.processors = 2;
        report.environment.host = Some(HostReport { before, at_fault: load(Some(10.0)), at_end: load(None) });
        let text = told(&report);
        assert!(text.contains(&format!("  missing   RTO: {missing}")), "{text}");
        let busy = "too busy for the probes: load 9.3 on 2 processors before, 10.0 at the fault, ? at the end";
        assert!(text.contains(busy), "{text}");
        assert!(text.contains("no-op-restore shows nothing: never reached"), "{text}");
    }

    #[test]
    fn what_was_not_measured_has_no_number() {
        let check = |value: Option<Interval>, expected: &str| assert_eq!(interval(value), expected, "{value:?}");
        check(Some(Interval::more_than(3.0)), "> 3.0s");
        check(None, "unmeasured");
        check(Some(Interval::between(0.0, 0.0)), "0ms");
    }
}
