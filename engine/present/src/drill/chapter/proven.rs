//! What holds the numbers: the checks, the controls, the run without a fault.

use super::{interval, points::verdict};
use crate::{
    Text, Tone,
    chapter::{Block, Chapter, NOT_MEASURED, chapter, sheet, words},
    drill::{Check, CheckKind, ControlReport, DrillReport, NotApplied, Verdict},
};

fn held(held: bool) -> Text {
    if held { Text::toned(Tone::Good, "held") } else { Text::toned(Tone::Bad, "did not hold") }
}

/// Every check, also those that had nothing to look at.
pub(super) fn checks(report: &DrillReport) -> Chapter {
    let several = report.episodes.len() > 1;
    let named = |name: &str, episode: Option<usize>| match episode {
        Some(number) if several => Text::name(name) + format!(" of recovery {number}"),
        _ => Text::name(name),
    };
    let asked = report.checks.iter().map(|check: &Check| {
        let kind = match check.kind {
            CheckKind::Evidence => "evidence",
            CheckKind::Result => "result",
        };
        let seen = match (check.measured, check.kind, check.passed) {
            (false, ..) => Text::toned(Tone::Warn, NOT_MEASURED),
            (true, CheckKind::Evidence, false) => Text::toned(Tone::Warn, "did not hold"),
            (true, _, passed) => held(passed),
        };
        [named(&check.name, check.episode), words(kind), seen, words(&*check.detail)]
    });
    let not_applied = report.not_applied.iter().flatten().map(|check: &NotApplied| {
        let needs = format!("the drill would need {}", check.needs);
        [named(&check.name, check.episode), Text::default(), words("does not apply"), words(needs)]
    });
    let heads = ["check", "kind", "verdict", "what was seen"];
    let table = sheet("What must hold for the numbers to mean anything", heads, asked.chain(not_applied));
    chapter("checks", "Checks", [table])
}

/// The check list that the drill is held for, point by point.
pub(super) fn checklist(report: &DrillReport) -> Option<Chapter> {
    let checklist = report.checklist.as_ref()?;
    let rows = checklist.points.iter().map(|point| {
        let verdict = match (verdict(point, report), report.verdict) {
            (None, _) => Text::toned(Tone::Warn, "not shown by this drill"),
            (Some(Verdict::Met), Verdict::Unmeasured) => Text::toned(Tone::Warn, "seen, but not proven"),
            (Some(Verdict::Met), _) => Text::toned(Tone::Good, "shown"),
            (Some(Verdict::Missed), _) => Text::toned(Tone::Bad, "did not hold"),
            (Some(Verdict::Unmeasured), _) => Text::toned(Tone::Warn, NOT_MEASURED),
        };
        [words(&*point.point), verdict, words(point.shown_by.join(", "))]
    });
    let caption = format!("Check list of {}", checklist.source);
    Some(chapter("checklist", "Check list", [sheet(caption, ["point", "verdict", "shown by"], rows)]))
}

/// The known breakages, and the run without a fault.
pub(super) fn controls(report: &DrillReport) -> Chapter {
    let mut blocks = Vec::new();
    if report.controls.is_empty() {
        let how = "Not run: nothing shows that this drill would see a failure. ";
        blocks.push(Block::Words(words(how) + Text::name("lifeboat drill --controls") + " runs them."));
    } else {
        let heads = ["must turn the drill red", "verdict", "seen by", "what was seen"];
        blocks.push(sheet("Known breakages", heads, report.controls.iter().map(control)));
    }
    match &report.control_run {
        None => blocks.push(Block::Words(words("The drill was not held without its fault."))),
        Some(run) => {
            let row = [held(run.passed), interval(run.rto_s), interval(run.rpo_s), words(&*run.detail)];
            blocks.push(sheet("The same without a fault", ["verdict", "RTO", "RPO", "what was seen"], [row]));
        }
    }
    chapter("controls", "Controls", blocks)
}

fn control(control: &ControlReport) -> [Text; 4] {
    let by = match (&control.by, control.measured) {
        (Some(by), _) => by.as_str(),
        (None, true) => "nothing: the drill stayed green",
        (None, false) => "nothing could be seen",
    };
    let seen = match (control.turned_red, control.measured) {
        (false, false) => Text::toned(Tone::Warn, NOT_MEASURED),
        (true, _) => Text::toned(Tone::Good, "turned red"),
        (false, true) => Text::toned(Tone::Bad, "stayed green"),
    };
    [Text::name(&*control.name), seen, words(by), words(&*control.detail)]
}
