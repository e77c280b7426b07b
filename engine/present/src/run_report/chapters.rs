//! The report of a run in chapters.

use jiff::Timestamp;
use lifeboat_core::event::{Event, Mode, OperatorAnswer};

use super::{
    Told,
    omissions::omissions,
    recovery_time::recovery,
    spans::{Doing, Span, pauses, spans},
};
use crate::{
    Text, Tone,
    chapter::{Block, Chapter, chapter, instant, sheet, words},
    elapsed, narration,
    status::{self, StepStatus},
    values::values,
    words as wording,
};

/// Longer journals are cut in the middle: the beginning says what was found, the end how it came out.
const EVENTS_MAX: usize = 1_000;

/// All chapters, in the order in which they are read.
pub(super) fn chapters(told: &Told<'_>) -> Vec<Chapter> {
    let spans = spans(told.report.events, told.until);
    vec![whole(told), not_covered(told), people(told, &spans), time_line(told), steps(told), copies(told), origin(told)]
}

fn whole(told: &Told<'_>) -> Chapter {
    let (report, facts) = (told.report, told.facts);
    let (runbook, plan) = (&facts.runbook, report.plan);
    let variant = plan.variant.map(|variant| format!(", {}", variant.as_str())).unwrap_or_default();
    let mode = match facts.mode {
        Mode::Real => "real",
        Mode::DryRun => "dry-run: nothing was changed",
    };
    let end = if told.outcome.is_some() { "Ended" } else { "Known until" };
    let objective = plan.objectives.rpo.map_or_else(
        || "not measured; the runbook sets no objective".to_owned(),
        |rpo| format!("not measured; objective {}", elapsed::text(rpo)),
    );
    let time = match recovery(told) {
        Some(recovery) => {
            let lacks = recovery.lacks.map(|lacks| format!(" ({lacks})")).unwrap_or_default();
            words(format!("{} since {}{lacks}, ", recovery.time(), recovery.from)) + recovery.came_to()
        }
        None if facts.mode == Mode::DryRun => words("none: nothing was recovered"),
        None => words("the runbook sets no objective"),
    };
    let roles: Vec<&str> = plan.targets.keys().map(lifeboat_core::name::RoleName::as_str).collect();
    let rows = [
        ["Runbook".into(), words(format!("{} ({}{variant})", runbook.name, runbook.id))],
        ["Run".into(), Text::name(facts.run.as_str())],
        ["How".into(), words(mode)],
        ["Started".into(), words(format!("{}, by {}", instant(told.started), wording::person(&facts.who)))],
        [end.into(), words(instant(told.until))],
        ["Outcome".into(), told.ended()],
        ["Recovery time (RTO)".into(), time],
        ["Recovery point (RPO)".into(), words(objective)],
        ["Inputs".into(), words(values(&facts.inputs).trim().to_owned())],
        ["Roles of targets".into(), words(roles.join(", "))],
    ];
    let rows = rows.into_iter().filter(|[_, value]| !value.to_string().is_empty());
    chapter("run", "Run", [sheet("What was executed, when, by whom, and how it ended", ["what", "value"], rows)])
}

fn not_covered(told: &Told<'_>) -> Chapter {
    let rows = omissions(told).into_iter().map(|(what, why)| [words(what), words(why)]);
    let caption = "What this report does not show, and why";
    chapter("not-covered", "Not covered", [sheet(caption, ["not covered", "why"], rows)])
}

/// Who was waited for, and who said what.
fn people(told: &Told<'_>, spans: &[Span]) -> Chapter {
    let waits = spans.iter().filter(|span| span.doing == Doing::WaitForPerson).map(|span| {
        let waited = elapsed::between(span.from, span.until);
        let by = match (&span.by, span.is_over) {
            (Some(who), _) => words(wording::person(who)),
            (None, true) => words("nobody"),
            (None, false) => Text::toned(Tone::Warn, "not answered yet"),
        };
        [Text::name(span.step.as_str()), words(instant(span.from)), words(waited), by]
    });
    let waits = sheet("Waits for people", ["step", "asked at", "waited", "ended by"], waits);
    let said = told.report.events.iter().filter_map(|(at, event)| said(told, *at, event));
    let said = sheet("Who said what", ["at", "who", "step", "what", "evidence"], said);
    chapter("people", "People", [waits, said])
}

fn said(told: &Told<'_>, at: Timestamp, event: &Event) -> Option<[Text; 5]> {
    let (who, evidence) = match event {
        Event::HandsReported { who, evidence, .. } | Event::ResolvedByHand { who, evidence, .. } => {
            (who, values(evidence))
        }
        Event::OperatorAnswered { who, answer: OperatorAnswer::ItHappened { outputs }, .. } => (who, values(outputs)),
        _ => (event.who()?, String::new()),
    };
    let line = narration::narrate(event, at, told.report.run);
    let step = event.step().map(|step| Text::name(step.as_str())).unwrap_or_default();
    Some([words(instant(at)), words(wording::person(who)), step, words(line.text), words(evidence.trim().to_owned())])
}

/// The picture, pauses, and every event.
fn time_line(told: &Told<'_>) -> Chapter {
    let events = told.report.events;
    let mut blocks = vec![Block::TimeLine];
    let pauses = pauses(events, told.until);
    if !pauses.is_empty() {
        let rows = pauses.iter().map(|pause| {
            let (from, length) = (instant(pause.from), elapsed::between(pause.from, pause.until));
            let why = pause.reason.clone().unwrap_or_default();
            [words(from), words(length), words(wording::person(&pause.who)), words(why)]
        });
        blocks.push(sheet(
            "Pauses, which the clock of the objective does not stop for",
            ["from", "for", "by", "why"],
            rows,
        ));
    }
    let left_out = events.len().saturating_sub(EVENTS_MAX);
    if left_out > 0 {
        let number = events.len();
        blocks.push(Block::Words(words(format!(
            "Of {number} events the first {} and the last {} are listed; the journal has all of them.",
            EVENTS_MAX / 2,
            EVENTS_MAX / 2
        ))));
    }
    let is_listed = |place: usize| left_out == 0 || place < EVENTS_MAX / 2 || place >= events.len() - EVENTS_MAX / 2;
    let listed = events.iter().enumerate().filter(|(place, _)| is_listed(*place));
    let rows = listed.map(|(_, (at, event))| {
        let line = narration::narrate(event, *at, told.report.run);
        let since = elapsed::between(told.started, *at);
        let text = if line.tone == Tone::Plain { words(line.text) } else { Text::toned(line.tone, line.text) };
        [words(instant(*at)), words(since), line.step.map(|step| Text::name(step.as_str())).unwrap_or_default(), text]
    });
    blocks.push(sheet("Every event", ["at", "since the start", "step", "what happened"], rows));
    chapter("time-line", "Time line", blocks)
}

fn steps(told: &Told<'_>) -> Chapter {
    let run = told.report.run;
    let rows = status::rows(run, told.report.live, told.until).into_iter().map(
        |StepStatus { step, tone, state, took, what }| {
            let planned = told.report.plan.steps.iter().find(|planned| planned.id == *step);
            let title = planned.and_then(|planned| planned.title.clone()).unwrap_or_default();
            let attempts = run.find(step).map_or(0, |step| step.attempts);
            let state = if tone == Tone::Plain { words(state) } else { Text::toned(tone, state) };
            [Text::name(step.as_str()), words(title), state, words(attempts.to_string()), words(took), words(what)]
        },
    );
    let heads = ["step", "title", "state", "attempts", "took", "what it said"];
    let caption = "Steps; of the items of a list those that are under way or in trouble";
    chapter("steps", "Steps", [sheet(caption, heads, rows)])
}

fn copies(told: &Told<'_>) -> Chapter {
    let rows = told.report.copies.iter().map(|copy| [marked(copy)]);
    let caption = "Copies that the run made and that still exist, as the journals of this state folder tell";
    chapter("copies", "Copies left", [sheet(caption, ["copy"], rows)])
}

fn origin(told: &Told<'_>) -> Chapter {
    let (report, facts) = (told.report, told.facts);
    let rows = [
        [words("Journal: hash of its last record"), Text::name(report.journal_hash)],
        [words("Journal: records"), words(report.records.to_string())],
        [words("Plan"), Text::name(&*facts.plan_digest)],
        [words(format!("Runbook {}", facts.runbook.id)), Text::name(&*facts.runbook.digest)],
        [words("Bindings"), Text::name(report.bindings_digest)],
        [words("Engine"), words(format!("Lifeboat {}", facts.engine))],
    ];
    let check = format!("`lifeboat verify-journal {}` checks the chain of the journal against this hash.", facts.run);
    let note = "The chain cannot detect a truncated end; a page with the hash that is kept elsewhere can.";
    chapter(
        "origin",
        "Origin",
        [sheet("Digests and versions", ["what", "value"], rows), Block::Words(marked(&format!("{check} {note}")))],
    )
}

/// A text whose names stand between backquotes.
fn marked(text: &str) -> Text {
    let parts = text.split('`').enumerate();
    parts
        .fold(Text::default(), |text, (place, part)| text + if place % 2 == 1 { Text::name(part) } else { words(part) })
}
