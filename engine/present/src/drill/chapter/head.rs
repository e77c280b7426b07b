//! What an auditor reads first: when, where, on what and for whom the drill was held, and what it did not cover.

use crate::{
    Text, Tone,
    chapter::{Chapter, NOT_MEASURED, chapter, sheet, words},
    drill::{DrillReport, HostReport, Load, gaps},
    elapsed::date_and_time,
};

/// Reports of earlier versions do not say who held them.
const NOT_RECORDED: &str = "not recorded: the report is of an earlier version";

/// When, where, on what, for whom.
pub(super) fn held(report: &DrillReport) -> Chapter {
    let held = report.held.as_ref();
    let told = |text: Option<String>| words(text.unwrap_or_else(|| NOT_RECORDED.to_owned()));
    let rows = [
        [
            "When".into(),
            told(held.map(|held| format!("{} to {} UTC", date_and_time(held.from), date_and_time(held.until)))),
        ],
        ["Where".into(), place(report)],
        ["On what".into(), systems(report)],
        ["What happened".into(), words(stories(report))],
        ["Runbooks".into(), runbooks(report)],
        ["By whom".into(), told(held.map(|held| by(&held.by, held.for_step.as_deref())))],
        ["Questions answered by".into(), words(&*report.approvals)],
        ["Load of the machine".into(), load(report.environment.host.as_ref())],
        ["Run".into(), Text::name(&*report.run)],
    ];
    chapter("held", "Held", [sheet("When, where, on what and for whom the drill was held", ["what", "value"], rows)])
}

/// What the drill says nothing about.
pub(super) fn not_covered(report: &DrillReport) -> Chapter {
    let rows = gaps(report).into_iter().map(|gap| [words(gap.what), words(gap.why)]);
    let caption = "What the drill did not cover, and why";
    chapter("not-covered", "Not covered", [sheet(caption, ["not covered", "why"], rows)])
}

fn place(report: &DrillReport) -> Text {
    let host = report.held.as_ref().map_or_else(|| NOT_RECORDED.to_owned(), |held| held.host.clone());
    let environment = &report.environment;
    let backend = report.testbed.backend.as_str();
    words(format!("{host}; {}, {} processors; testbed {backend}", environment.platform, environment.processors))
}

fn systems(report: &DrillReport) -> Text {
    let systems = report.testbed.systems.iter().map(|system| {
        let (kind, version) = (&system.kind, &system.version);
        let names_kind = version.to_lowercase().contains(&kind.to_lowercase());
        let is = if names_kind { version.clone() } else { format!("{kind} {version}").trim().to_owned() };
        format!("{} ({is}, {})", system.role, system.fidelity.as_str())
    });
    let systems: Vec<String> = systems.collect();
    words(if systems.is_empty() { "none is named".to_owned() } else { systems.join("; ") })
}

fn stories(report: &DrillReport) -> String {
    let struck = report.episodes.iter().flat_map(|episode| &episode.faults).chain(&report.faults);
    let mut stories: Vec<String> = struck.map(|fault| format!("{}: {}", fault.kind, fault.story)).collect();
    // Earlier versions do not say what struck where nothing was recovered.
    if stories.is_empty() {
        stories.extend(report.lags.iter().flat_map(|lag| &lag.faults).cloned());
        stories.dedup();
    }
    if stories.is_empty() { "the report names no fault".to_owned() } else { stories.join("; ") }
}

fn runbooks(report: &DrillReport) -> Text {
    let mut told = Text::default();
    for (number, episode) in report.episodes.iter().enumerate() {
        let between = if number > 0 { "; " } else { "" };
        let runbook = &episode.runbook;
        told = told
            + format!("{between}{} ", runbook.id)
            + Text::name(&*runbook.digest)
            + format!(", {}", episode.outcome.replace('_', " "));
    }
    let mut routines: Vec<String> =
        report.routines.iter().map(|it| format!("{} {}", it.runbook.id, it.runbook.digest)).collect();
    routines.dedup();
    match (report.episodes.is_empty(), routines.is_empty()) {
        (true, true) => words("none: nothing had to be recovered"),
        (true, false) => words(format!("{}; nothing had to be recovered", routines.join("; "))),
        (false, _) => told,
    }
}

fn by(user: &str, step: Option<&str>) -> String {
    step.map_or_else(|| user.to_owned(), |step| format!("{user}, for {step}"))
}

/// How busy the machine was: what it could do before the drill, and its load until the end.
fn load(host: Option<&HostReport>) -> Text {
    let Some(host) = host else { return words(NOT_MEASURED) };
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
        if before.too_busy { Text::toned(Tone::Warn, "Too busy for the probes.") + " " } else { Text::default() };
    busy + format!(
        "Load average {} before, {} at the fault, {} at the end.{share} Timers fired up to {:.0} ms late.",
        load(&before.load),
        load(&host.at_fault),
        load(&host.at_end),
        before.timer_late_worst_s * 1e3
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chapter::Block;
    use crate::drill::read;

    #[test]
    fn a_report_that_does_not_say_who_held_it_says_so() {
        let report = read(include_str!("../tests/report-1.json")).unwrap();
        let Chapter { blocks, .. } = held(&report);
        let [Block::Table(sheet)] = blocks.as_slice() else { panic!("{blocks:?}") };
        let cell = |head: &str| {
            let row = sheet.rows.iter().find(|row| row[0].to_string() == head).expect(head);
            row[1].to_string()
        };
        assert_eq!([cell("When"), cell("By whom")], [NOT_RECORDED, NOT_RECORDED]);
        assert!(cell("Where").starts_with(NOT_RECORDED), "{}", cell("Where"));
    }
}
