//! `report.html`: one self-contained page, for an auditor, on a phone or on paper.

use super::{
    CheckKind, DrillReport,
    page::{STYLE, escape, push, table},
    time_line,
};
use crate::measurement::{Interval, Verdict};

/// The page.
pub fn render(report: &DrillReport) -> String {
    let title = format!("{}: {}", escape(&report.drill), report.verdict);
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title><style>{STYLE}</style></head><body>"
    );
    head(&mut html, report);
    objectives(&mut html, report);
    section(&mut html, "Time line", &time_line::draw(report));
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
    format!("<span class=\"{verdict}\">{verdict}</span>")
}

fn interval(interval: Option<Interval>) -> String {
    interval.map_or_else(|| "not measured".to_owned(), |interval| escape(&interval.to_string()))
}

fn objective(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "none".to_owned(), |seconds| format!("{seconds:.0} s"))
}

fn head(html: &mut String, report: &DrillReport) {
    push(
        html,
        format_args!(
            "<h1>Drill {}</h1><div class=\"dim\">Run {} · runbook {} <code>{}</code></div>",
            escape(&report.drill),
            escape(&report.run),
            escape(&report.runbook.id),
            escape(&report.runbook.digest)
        ),
    );
    let failed = report.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str());
    let failed: Vec<&str> = failed
        .chain(report.controls.iter().filter(|control| !control.turned_red).map(|control| control.name.as_str()))
        .collect();
    let reason =
        if failed.is_empty() { "every check held".to_owned() } else { format!("did not hold: {}", failed.join(", ")) };
    push(
        html,
        format_args!(
            "<div class=\"verdict {0}\"><strong>{0}</strong><div class=\"dim\">Run ended: {1}; {2}.</div></div>",
            report.verdict,
            escape(&report.outcome),
            escape(&reason)
        ),
    );
}

fn objectives(html: &mut String, report: &DrillReport) {
    let (rto, rpo) = (&report.rto, &report.rpo);
    push(
        html,
        format_args!(
            "<div class=\"cards\"><div class=\"card\">Recovery time (RTO), from {}<b>{}</b>objective {} · {}</div>",
            escape(&rto.clock),
            interval(rto.judged_s),
            objective(rto.objective_s),
            verdict(rto.verdict)
        ),
    );
    push(
        html,
        format_args!(
            "<div class=\"card\">Recovery point (RPO)<b>{}</b>objective {} · {}</div>",
            interval(rpo.actual_s),
            objective(rpo.objective_s),
            verdict(rpo.verdict)
        ),
    );
    push(
        html,
        format_args!(
            "<div class=\"card\">Acknowledged writes lost<b>{}</b>of {} · {} unknown</div></div>",
            report.writes.lost, report.writes.acknowledged, report.writes.unknown
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
    let residual = rpo.residual_damage.map_or_else(|| "no damage".to_owned(), |rows| format!("{rows} rows"));
    rows.push(vec!["Residual damage".to_owned(), residual]);
    rows.extend(report.scaled.iter().map(|scaled| {
        let text = format!("{} (production: {}). {}", scaled.drill, scaled.production, scaled.worst_case);
        vec![format!("Scaled: {}", escape(&scaled.name)), escape(&text)]
    }));
    section(html, "Measurements", &table(&["what", "value"], rows));
}

fn steps(html: &mut String, report: &DrillReport) {
    let rows = report.steps.iter().map(|step| {
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
            format!("{} ({} / {})", writes.unknown, writes.unknown_found, writes.unknown_missing),
        ),
        ("Acknowledged writes lost", writes.lost.to_string()),
        ("Loaded rows lost", writes.lost_loaded_rows.to_string()),
        ("Unexpected rows (raised from the dead)", format!("{} ({})", writes.unexpected, writes.raised_from_the_dead)),
        ("Acknowledged a second before the fault", format!("{:.0}", writes.rate_before_fault)),
        ("Longest pause of the writers", format!("{:.2} s", writes.longest_pause_s)),
        ("Rows at the end", writes.final_rows.to_string()),
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
        vec![escape(&probe.kind), probe.made.to_string(), probe.failed.to_string(), escape(first)]
    });
    section(html, "Probes", &table(&["kind", "made", "failed", "first failure"], rows));
}

fn mark(passed: bool) -> String {
    let (class, word) = if passed { ("met", "held") } else { ("missed", "did not hold") };
    format!("<span class=\"{class}\">{word}</span>")
}

fn checks(html: &mut String, report: &DrillReport) {
    let rows = report.checks.iter().map(|check| {
        let kind = match check.kind {
            CheckKind::Evidence => "evidence",
            CheckKind::Result => "result",
        };
        vec![escape(&check.name), kind.to_owned(), mark(check.passed), escape(&check.detail)]
    });
    section(html, "Checks", &table(&["check", "kind", "", "what was seen"], rows));
}

fn controls(html: &mut String, report: &DrillReport) {
    if report.controls.is_empty() {
        section(html, "Controls", "<p class=\"dim\">Not run. <code>lifeboat drill --controls</code> runs them.</p>");
        return;
    }
    let by = |control: &super::Control| escape(control.by.as_deref().unwrap_or("nothing: the drill stayed green"));
    let rows = report
        .controls
        .iter()
        .map(|control| vec![escape(&control.name), mark(control.turned_red), by(control), escape(&control.detail)]);
    section(html, "Controls", &table(&["must turn the drill red", "", "seen by", "what was seen"], rows));
    if let Some(run) = &report.control_run {
        let row = vec![mark(run.passed), interval(run.rto_s), interval(run.rpo_s), escape(&run.detail)];
        push(html, format_args!("<p>Run without a fault:</p>{}", table(&["", "RTO", "RPO", "what was seen"], [row])));
    }
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
