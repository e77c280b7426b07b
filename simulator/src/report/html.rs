//! `report.html`: one self-contained page, for an auditor, on a phone or on paper.

use jiff::SignedDuration;

use super::{
    CheckKind, DrillReport, EpisodeReport, HostReport,
    page::{STYLE, escape, push, table, wide},
    time_line,
};
use crate::{
    host::Load,
    measurement::{Interval, Verdict},
};

const NOT_MEASURED: &str = "not measured";

/// The page.
pub fn render(report: &DrillReport) -> String {
    let title = format!("{}: {}", escape(&report.drill), report.verdict);
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title><style>{STYLE}</style></head><body>"
    );
    head(&mut html, report);
    episodes(&mut html, report);
    standbys(&mut html, report);
    samples(&mut html, report);
    section(&mut html, "Time line", &wide(&time_line::draw(report)));
    steps(&mut html, report);
    writes(&mut html, report);
    checks(&mut html, report);
    controls(&mut html, report);
    environment(&mut html, report);
    html.push_str("</body></html>\n");
    html
}

fn section(html: &mut String, title: &str, body: &str) {
    push(html, format_args!("<h2>{}</h2>{body}", escape(title)));
}

fn verdict(verdict: Verdict) -> String {
    in_class(verdict, &verdict.to_string())
}

/// A number of an unmeasured drill may lie within the objective; that is no pass, and must not look like one.
fn proven(part: Verdict, report: &DrillReport) -> String {
    match (part, report.verdict) {
        (Verdict::Met, Verdict::Unmeasured) => in_class(Verdict::Unmeasured, "within it, but not proven"),
        _ => verdict(part),
    }
}

fn interval(interval: Option<Interval>) -> String {
    interval.map_or_else(|| NOT_MEASURED.to_owned(), |interval| escape(&interval.to_string()))
}

fn objective(seconds: Option<f64>) -> String {
    let length = seconds.and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
    length.map_or_else(|| "none".to_owned(), |length| format!("{length:#}"))
}

fn head(html: &mut String, report: &DrillReport) {
    push(html, format_args!("<h1>Drill {}</h1>", escape(&report.drill),));
    for episode in &report.episodes {
        push(
            html,
            format_args!(
                "<div class=\"dim\">Run {} · runbook {} <code>{}</code></div>",
                escape(&episode.run),
                escape(&episode.runbook.id),
                escape(&episode.runbook.digest)
            ),
        );
    }
    let ends: Vec<String> = report.episodes.iter().map(|episode| escape(&episode.outcome)).collect();
    let ends = if ends.is_empty() {
        "Nothing had to be recovered.".to_owned()
    } else {
        format!("Run ended: {}.", ends.join(", "))
    };
    push(
        html,
        format_args!(
            "<div class=\"verdict {0}\"><strong>{0}</strong><div class=\"dim\">{1}</div>{2}</div>",
            report.verdict,
            ends,
            reasons(report)
        ),
    );
}

/// Why the verdict is what it is: everything that stands against `met`.
fn reasons(report: &DrillReport) -> String {
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
    let against: Vec<String> = objectives.flatten().chain(lags).chain(checks).chain(controls).chain(run).collect();
    if against.is_empty() {
        let objectives = if report.episodes.is_empty() { "Every objective is met" } else { "Both objectives are met" };
        return format!("<div class=\"dim\">{objectives} and every check held.</div>");
    }
    let items: String = against.iter().map(|reason| format!("<li>{}</li>", escape(reason))).collect();
    format!("<ul class=\"dim\">{items}</ul>")
}

/// Every run, where there were several: the page is that of the worst.
fn samples(html: &mut String, report: &DrillReport) {
    if report.samples.len() < 2 {
        return;
    }
    let rows = report.samples.iter().map(|sample| {
        vec![escape(&sample.run), verdict(sample.verdict), interval(sample.rto_s), interval(sample.rpo_s)]
    });
    let title = format!("{} runs, of which this page shows the worst", report.samples.len());
    section(html, &title, &table(&["run", "verdict", "RTO", "RPO"], rows));
}

/// Each recovery, by its runbook where there are several.
fn episodes(html: &mut String, report: &DrillReport) {
    for (number, episode) in (1..).zip(&report.episodes) {
        if report.episodes.len() > 1 {
            push(html, format_args!("<h2>Recovery {number}: {}</h2>", escape(&episode.runbook.id)));
        }
        objectives(html, report, episode);
    }
}

/// How far standbys were behind.
fn standbys(html: &mut String, report: &DrillReport) {
    if report.lags.is_empty() {
        return;
    }
    let rows = report.lags.iter().map(|lag| {
        let faults = if lag.faults.is_empty() { "none".to_owned() } else { lag.faults.join(", ") };
        let caught_up = lag.within_s.map_or_else(String::new, |_| interval(lag.caught_up_s));
        let seen = format!("{:.1} s, {} looks", lag.until.duration_since(lag.from).as_secs_f64(), lag.sightings);
        let median = interval(lag.median_s);
        vec![
            escape(&lag.standby),
            escape(&faults),
            escape(&lag.wanted()),
            interval(lag.longest_s),
            median,
            caught_up,
            seen,
            proven(lag.verdict, report),
        ]
    });
    let heads = ["standby", "faults", "wanted", "longest lag", "median", "caught up after", "watched", ""];
    section(html, "Standbys", &table(&heads, rows));
}

fn objectives(html: &mut String, report: &DrillReport, episode: &EpisodeReport) {
    let (rto, rpo) = (&episode.rto, &episode.rpo);
    push(
        html,
        format_args!(
            "<div class=\"cards\"><div class=\"card\">Recovery time (RTO), from {}<b>{}</b>objective {} · {}</div>",
            escape(&rto.clock),
            interval(rto.judged_s),
            objective(rto.objective_s),
            proven(rto.verdict, report)
        ),
    );
    push(
        html,
        format_args!(
            "<div class=\"card\">Recovery point (RPO)<b>{}</b>objective {} · {}</div>",
            interval(rpo.actual_s),
            objective(rpo.objective_s),
            proven(rpo.verdict, report)
        ),
    );
    push(
        html,
        format_args!(
            "<div class=\"card\">Acknowledged writes lost<b>{}</b>of {} · {} unknown</div></div>",
            counted(report.writes.lost),
            report.writes.acknowledged,
            report.writes.unknown
        ),
    );
    let rows = [
        ("RTO of the service (t_stable − t_onset)", rto.service_s),
        ("RTO of the procedure (t_stable − t_start)", rto.procedure_s),
        ("Decision lag (t_start − t_onset)", rto.decision_s),
        ("Time to redundancy (t_redundant − t_onset)", rto.redundancy_s),
        ("Loss from before the fault", rpo.pre_fault_s),
        ("Collateral loss", rpo.collateral_s),
    ];
    let mut rows: Vec<Vec<String>> = rows.map(|(name, value)| vec![escape(name), interval(value)]).into();
    let residual = match (rpo.residual_damage, episode.instants.damage) {
        (Some(rows), _) => format!("{rows} rows"),
        (None, Some(_)) => NOT_MEASURED.to_owned(),
        (None, None) => "there was no damage".to_owned(),
    };
    rows.push(vec!["Residual damage".to_owned(), residual]);
    rows.extend(report.scaled.iter().map(|scaled| {
        let text = format!("{} (production: {}). {}", scaled.drill, scaled.production, scaled.worst_case);
        vec![format!("Scaled: {}", escape(&scaled.name)), escape(&text)]
    }));
    section(html, "Measurements", &table(&["what", "value"], rows));
}

fn steps(html: &mut String, report: &DrillReport) {
    if report.episodes.is_empty() {
        return;
    }
    let rows = report.steps().map(|step| {
        let seconds = step.seconds.map_or_else(String::new, |seconds| format!("{seconds:.2}"));
        let critical = if step.on_critical_path { "yes" } else { "" };
        let summary = step.summary.as_deref().or(step.title.as_deref()).unwrap_or_default();
        vec![
            escape(&step.id),
            escape(&step.state),
            step.attempts.to_string(),
            seconds,
            critical.to_owned(),
            escape(summary),
        ]
    });
    section(html, "Steps", &table(&["step", "state", "attempts", "seconds", "critical path", "what it said"], rows));
    push(html, format_args!("<p class=\"dim\">Questions were answered by {}.</p>", escape(&report.approvals)));
}

fn writes(html: &mut String, report: &DrillReport) {
    let writes = &report.writes;
    let rows = [
        ("Rows loaded", writes.loaded_rows.to_string()),
        ("Rows removed by the fault", writes.damaged_rows.to_string()),
        ("Writes acknowledged", writes.acknowledged.to_string()),
        ("Writes failed (without effect)", writes.failed.to_string()),
        (
            "Writes unknown (found / not found)",
            format!("{} ({} / {})", writes.unknown, counted(writes.unknown_found), counted(writes.unknown_missing)),
        ),
        ("Acknowledged writes lost", counted(writes.lost)),
        ("Loaded rows lost", counted(writes.lost_loaded_rows)),
        (
            "Unexpected rows (raised from the dead)",
            format!("{} ({})", counted(writes.unexpected), counted(writes.raised_from_the_dead)),
        ),
        ("Acknowledged a second before the fault", format!("{:.0}", writes.rate_before_fault)),
        ("Longest pause of the writers", format!("{:.2} s", writes.longest_pause_s)),
        ("Rows at the end", counted(writes.final_rows)),
    ];
    section(html, "Writes", &table(&["what", "number"], rows.map(|(name, value)| vec![escape(name), value])));
    if !report.lost_writes.is_empty() {
        let rows = report.lost_writes.iter().map(|lost| {
            let at = lost.acknowledged.map_or_else(String::new, |at| at.to_string());
            vec![lost.write.to_string(), at, escape(&lost.what), escape(&lost.why)]
        });
        section(html, "Lost writes", &table(&["write", "acknowledged", "what", "why"], rows));
    }
    let rows = report.probes.iter().map(|probe| {
        let first = probe.first_failure.as_deref().unwrap_or_default();
        let made = probe.wanted.map_or_else(|| probe.made.to_string(), |wanted| format!("{} of {wanted}", probe.made));
        let pause = probe.longest_pause_s.map_or_else(String::new, |pause| format!("{pause:.2} s"));
        vec![escape(&probe.kind), made, pause, probe.failed.to_string(), escape(first)]
    });
    section(html, "Probes", &table(&["kind", "made", "longest pause", "failed", "first failure"], rows));
}

/// A number that was counted, or that it was not.
fn counted(count: Option<usize>) -> String {
    count.map_or_else(|| NOT_MEASURED.to_owned(), |count| count.to_string())
}

fn mark(passed: bool) -> String {
    if passed { in_class(Verdict::Met, "held") } else { in_class(Verdict::Missed, "did not hold") }
}

fn in_class(class: Verdict, words: &str) -> String {
    format!("<span class=\"{class}\">{words}</span>")
}

fn checks(html: &mut String, report: &DrillReport) {
    let rows = report.checks.iter().map(|check| {
        let kind = match check.kind {
            CheckKind::Evidence => "evidence",
            CheckKind::Result => "result",
        };
        let seen = match (check.measured, check.kind, check.passed) {
            (false, ..) => in_class(Verdict::Unmeasured, NOT_MEASURED),
            (true, CheckKind::Evidence, false) => in_class(Verdict::Unmeasured, "did not hold"),
            (true, _, passed) => mark(passed),
        };
        vec![escape(&check.name), kind.to_owned(), seen, escape(&check.detail)]
    });
    section(html, "Checks", &table(&["check", "kind", "", "what was seen"], rows));
}

fn controls(html: &mut String, report: &DrillReport) {
    if report.controls.is_empty() {
        section(html, "Controls", "<p class=\"dim\">Not run. <code>lifeboat drill --controls</code> runs them.</p>");
        return;
    }
    let by = |control: &super::ControlReport| match (&control.by, control.measured) {
        (Some(by), _) => escape(by),
        (None, true) => "nothing: the drill stayed green".to_owned(),
        (None, false) => "nothing could be seen".to_owned(),
    };
    let seen = |control: &super::ControlReport| match (control.turned_red, control.measured) {
        (false, false) => in_class(Verdict::Unmeasured, NOT_MEASURED),
        (turned_red, _) => mark(turned_red),
    };
    let rows = report
        .controls
        .iter()
        .map(|control| vec![escape(&control.name), seen(control), by(control), escape(&control.detail)]);
    section(html, "Controls", &table(&["must turn the drill red", "", "seen by", "what was seen"], rows));
    if let Some(run) = &report.control_run {
        let row = vec![mark(run.passed), interval(run.rto_s), interval(run.rpo_s), escape(&run.detail)];
        push(html, format_args!("<p>Run without a fault:</p>{}", table(&["", "RTO", "RPO", "what was seen"], [row])));
    }
}

/// How busy the machine was: what it could do before the drill, and its load until the end.
fn host(host: Option<&HostReport>) -> String {
    let Some(host) = host else { return NOT_MEASURED.to_owned() };
    let load = |load: &Load| match (load.load_1m, load.cpu_pressure_10s) {
        (Some(average), Some(pressure)) => format!("{average:.1} (tasks waited in {pressure:.0} % of the time)"),
        (Some(average), None) => format!("{average:.1}"),
        (None, _) => NOT_MEASURED.to_owned(),
    };
    let before = &host.before;
    let share = before
        .cpu_share
        .map_or_else(String::new, |share| format!(" A busy thread got {:.0} % of a processor.", share * 100.0));
    let busy =
        if before.too_busy { in_class(Verdict::Unmeasured, "Too busy for the probes.") + " " } else { String::new() };
    format!(
        "{busy}Load average {} before, {} at the fault, {} at the end.{share} Timers fired up to {:.0} ms late.",
        load(&before.load),
        load(&host.at_fault),
        load(&host.at_end),
        before.timer_late_worst_s * 1e3
    )
}

fn environment(html: &mut String, report: &DrillReport) {
    let environment = &report.environment;
    let mut rows = vec![
        vec!["Lifeboat".to_owned(), escape(&report.version)],
        vec!["Seed".to_owned(), report.seed.to_string()],
        vec!["Testbed".to_owned(), report.testbed.backend.as_str().to_owned()],
        vec![
            "Platform".to_owned(),
            format!("{}, {} processors", escape(&environment.platform), environment.processors),
        ],
        vec!["Load of the machine".to_owned(), host(environment.host.as_ref())],
        vec!["Bindings".to_owned(), format!("<code>{}</code>", escape(&environment.bindings_digest))],
    ];
    rows.extend(report.testbed.systems.iter().map(|system| {
        let fidelity = format!("{:?}", system.fidelity).to_lowercase();
        vec![
            escape(&format!("{} ({})", system.role, system.kind)),
            escape(&format!("{}, {fidelity}; {}", system.version, system.origin)),
        ]
    }));
    rows.extend(environment.plugins.iter().map(|plugin| {
        vec![format!("Plugin {}", escape(&plugin.name)), format!("<code>{}</code>", escape(&plugin.digest))]
    }));
    section(html, "Environment", &table(&["what", "value"], rows));
}
