//! Reports for tests: one that went well, ones in which anything may have happened, and a look at XML.

use proptest::prelude::*;

use super::{
    Check, CheckKind, ControlReport, DrillReport, Interval, LagReport, LostWrite, RoutineReport, RunbookReport,
    Verdict, read,
};

/// A drill that was met.
pub(crate) fn report() -> DrillReport {
    read(include_str!("tests/report.json")).unwrap()
}

pub(crate) fn lag(verdict: Verdict, high: Option<f64>, faults: &[&str]) -> LagReport {
    let at = |text: &str| text.parse().unwrap();
    LagReport {
        standby: "west".to_owned(),
        faults: faults.iter().map(|fault| (*fault).to_owned()).collect(),
        from: at("2026-11-21T12:00:00Z"),
        until: at("2026-11-21T12:00:04Z"),
        longest_s: Some(Interval { low: 0.1, high }),
        median_s: None,
        caught_up_s: None,
        at_most_s: Some(1.0),
        at_least_s: None,
        within_s: None,
        sightings: 40,
        verdict,
        missing: None,
    }
}

/// A verification, of damage where it has to fail.
pub(crate) fn routine(verdict: Verdict, fails_with: Option<&str>) -> RoutineReport {
    let at = |text: &str| text.parse().unwrap();
    RoutineReport {
        runbook: RunbookReport { id: "BV-001".to_owned(), digest: format!("sha256:{}", "0".repeat(64)) },
        run: "BV-001-20261121-120000".to_owned(),
        faults: fails_with.map(|_| "backup-damaged".to_owned()).into_iter().collect(),
        fails_with: fails_with.map(str::to_owned),
        outcome: if fails_with.is_some() { "failed".to_owned() } else { "succeeded".to_owned() },
        failure: fails_with.map(|code| format!("look failed with {code}: 16394")),
        from: at("2026-11-21T12:00:00Z"),
        until: at("2026-11-21T12:00:04Z"),
        verdict,
        steps: Vec::new(),
    }
}

/// A check that did not hold.
pub(crate) fn check(name: &str, kind: CheckKind, measured: bool) -> Check {
    Check { name: name.to_owned(), episode: None, kind, passed: false, measured, detail: "as seen".to_owned() }
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![Just(Verdict::Met), Just(Verdict::Missed), Just(Verdict::Unmeasured)]
}

prop_compose! {
    /// A report in which anything may have happened, also what does not fit together.
    pub(crate) fn reports()(
        verdict in verdicts(),
        rto in verdicts(),
        recoveries in 0..3_usize,
        judged in proptest::option::of((0.0..9e4_f64, proptest::option::of(0.0..9e4_f64))),
        objective in proptest::option::of(0.1..9e4_f64),
        lost in proptest::option::of(0..3_usize),
        loaded in proptest::option::of(0..2_usize),
        residual in proptest::option::of(0..2_usize),
        control in proptest::option::of(any::<(bool, bool)>()),
        name in "\\PC{0,8}",
        watched in proptest::collection::vec(verdicts(), 0..3),
    ) -> DrillReport {
        let mut report = report();
        (report.verdict, report.drill) = (verdict, name.clone());
        let mut episode = report.episodes.remove(0);
        episode.runbook.id = name.clone();
        episode.rto.verdict = rto;
        episode.rto.judged_s = judged.map(|(low, more)| Interval { low, high: more.map(|more| low + more) });
        episode.rto.objective_s = objective;
        episode.rpo.residual_damage = residual;
        report.episodes = vec![episode; recoveries];
        (report.writes.lost, report.writes.lost_loaded_rows) = (lost, loaded);
        report.controls = control
            .map(|(turned_red, measured)| ControlReport { name, turned_red, measured, by: None, detail: String::new() })
            .into_iter()
            .collect();
        report.lags = watched.into_iter().map(|verdict| lag(verdict, Some(1.0), &["delay"])).collect();
        report
    }
}

/// Texts as nobody wants them: markup, controls, and what XML cannot hold.
pub(crate) fn texts() -> impl Strategy<Value = String> {
    let wild =
        prop::sample::select(vec!['<', '>', '&', '"', '\'', ']', '\0', '\u{1b}', '\u{b}', '\u{fffe}', '\r', '\n', '|']);
    proptest::collection::vec(prop_oneof![wild, any::<char>()], 0..12).prop_map(String::from_iter)
}

/// A report in which every text is markup for somebody.
pub(crate) fn hostile() -> DrillReport {
    let mut report = report();
    fill(&mut report, "<script>alert(\"1\")</script>|`a`|\n# b\u{1b}[2J");
    report
}

/// Puts the text wherever a report has one that comes from elsewhere.
pub(crate) fn fill(report: &mut DrillReport, text: &str) {
    let text = || text.to_owned();
    report.lags = vec![LagReport { standby: text(), missing: Some(text()), ..lag(Verdict::Met, None, &["delay"]) }];
    report.routines = vec![RoutineReport {
        runbook: RunbookReport { id: text(), digest: text() },
        run: text(),
        outcome: text(),
        failure: Some(text()),
        steps: Vec::new(),
        ..routine(Verdict::Missed, Some("pg-wal-gap"))
    }];
    if let Some(list) = &mut report.checklist {
        list.source = text();
        list.points.iter_mut().for_each(|point| (point.point, point.shown_by) = (text(), vec![text()]));
    }
    report.lost_writes = vec![LostWrite { write: 1, acknowledged: None, what: text(), why: text() }];
    (report.drill, report.run, report.version, report.approvals) = (text(), text(), text(), text());
    if let Some(held) = &mut report.held {
        (held.host, held.by, held.for_step) = (text(), text(), Some(text()));
    }
    for episode in &mut report.episodes {
        (episode.runbook.id, episode.runbook.digest, episode.run) = (text(), text(), text());
        (episode.outcome, episode.rto.missing, episode.rpo.missing) = (text(), Some(text()), Some(text()));
        episode.faults.iter_mut().for_each(|fault| (fault.kind, fault.story) = (text(), text()));
        episode.steps.iter_mut().for_each(|step| (step.id, step.state, step.summary) = (text(), text(), Some(text())));
    }
    report.checks.iter_mut().for_each(|check| (check.name, check.detail) = (text(), text()));
    report.not_applied.iter_mut().flatten().for_each(|check| (check.name, check.needs) = (text(), text()));
    report.controls.iter_mut().for_each(|it| (it.name, it.by, it.detail) = (text(), Some(text()), text()));
    report.control_run.iter_mut().for_each(|run| run.detail = text());
    report.samples.iter_mut().for_each(|sample| sample.run = text() + "x");
    report.scaled.iter_mut().for_each(|it| (it.name, it.drill, it.worst_case) = (text(), text(), text()));
    for system in &mut report.testbed.systems {
        (system.role, system.kind, system.region) = (text(), text(), Some(text()));
        (system.version, system.origin) = (text(), text());
    }
    let environment = &mut report.environment;
    (environment.platform, environment.bindings_digest) = (text(), text());
    environment.plugins.iter_mut().for_each(|plugin| (plugin.name, plugin.digest) = (text(), text()));
    report.probes.iter_mut().for_each(|probe| (probe.kind, probe.first_failure) = (text(), Some(text())));
}

/// How many elements `testcase` a document has that is well-formed by what our own writer uses of XML: elements, attributes, text and
/// references.
pub(crate) fn well_formed(document: &str) -> Result<usize, String> {
    let mut rest = document;
    if let Some(declared) = rest.strip_prefix("<?xml ") {
        rest = declared.split_once("?>").ok_or("the declaration has no end")?.1;
    }
    let (mut open, mut roots, mut cases) = (Vec::new(), 0, 0);
    while !rest.is_empty() {
        let (before, tag) = rest.split_once('<').unwrap_or((rest, ""));
        text(before)?;
        if open.is_empty() && !before.trim().is_empty() {
            return Err(format!("`{before}` is outside of the root"));
        }
        if !rest.contains('<') {
            break;
        }
        let (tag, behind) = tag.split_once('>').ok_or("a tag has no end")?;
        rest = behind;
        if let Some(name) = tag.strip_prefix('/') {
            let was = open.pop();
            if was != Some(name) {
                return Err(format!("`{name}` ends `{was:?}`"));
            }
            continue;
        }
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphabetic() || c == '-') {
            return Err(format!("`{name}` is no name"));
        }
        self::attributes(attributes)?;
        roots += usize::from(open.is_empty());
        cases += usize::from(name == "testcase");
        if !is_empty {
            open.push(name);
        }
    }
    if open.is_empty() && roots == 1 { Ok(cases) } else { Err(format!("{roots} roots, and still open: {open:?}")) }
}

fn attributes(mut rest: &str) -> Result<(), String> {
    let mut names = Vec::new();
    while !rest.is_empty() {
        let (name, behind) = rest.trim_start().split_once("=\"").ok_or_else(|| format!("no attribute: `{rest}`"))?;
        let (value, behind) = behind.split_once('"').ok_or("a value has no end")?;
        if names.contains(&name) || !name.chars().all(|c| c.is_ascii_alphabetic()) {
            return Err(format!("`{name}` is there twice, or is no name"));
        }
        text(value)?;
        names.push(name);
        rest = behind;
    }
    Ok(())
}

/// Text between tags or quotes: no markup but references, and only characters that XML 1.0 has.
fn text(text: &str) -> Result<(), String> {
    let is_held = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if let Some(wrong) = text.chars().find(|c| !is_held(*c) || *c == '<') {
        return Err(format!("{wrong:?} is in a text"));
    }
    for reference in text.split('&').skip(1) {
        let name = reference.split_once(';').ok_or("a reference has no end")?.0;
        if !["amp", "lt", "gt", "quot", "#39", "#13"].contains(&name) {
            return Err(format!("`{name}` is no reference"));
        }
    }
    Ok(())
}
