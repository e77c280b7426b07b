//! How a run stands, for people: what is known of the whole, and a row for each step.

use jiff::Timestamp;
use lifeboat_core::{
    event::{KnownBy, Mode},
    name::StepId,
    plan::Plan,
    run::{Budget, Phase, Run, Since, StepRun, StepState},
};

use crate::{
    Text, Tone, budget, elapsed,
    step::{is_cut_off, took, waits_for},
    words,
};

/// The lines about the whole: what it is, since when, how it ended or what is left of its RTO. None before it has started. `engine`
/// names the engine that works on it, and `onset` is counted from in place of what the journal says.
pub fn head(plan: &Plan, run: &Run, engine: Option<&str>, onset: Option<Timestamp>, now: Timestamp) -> Vec<Text> {
    let Some((started, facts)) = &run.started else { return Vec::new() };
    let variant = plan.variant.map(|variant| format!(", {}", variant.as_str())).unwrap_or_default();
    let name = format!("  {} ({}{variant})", facts.runbook.name, facts.runbook.id);
    let dry = if facts.mode == Mode::DryRun { ", a dry-run: nothing is changed" } else { "" };
    let mut lines = vec![
        Text::name(facts.run.to_string()) + name,
        format!("started {} UTC{dry}", elapsed::date_and_time(*started)).into(),
    ];
    if let Phase::Finished { at, outcome } = run.phase {
        lines.push(format!("{} after {}", words::outcome(outcome), elapsed::between(*started, at)).into());
        return lines;
    }
    lines.extend(engine.map(|engine| format!("live: {engine}").into()));
    if let Some(pause) = &run.pause {
        let why = pause.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let since = elapsed::time_of_day(pause.since);
        lines.push(Text::toned(Tone::Warn, "paused") + format!(" by {} since {since} UTC{why}", pause.who));
    }
    if let Some(given) = run.budget(&plan.objectives) {
        let from = onset.map_or(given, |from| Budget { from, since: Since::Onset, ..given });
        lines.push(budget::text(&from, now));
    }
    lines
}

/// How one step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepStatus<'a> {
    /// The step.
    pub step: &'a StepId,
    /// How that is meant.
    pub tone: Tone,
    /// A word or two.
    pub state: String,
    /// How long it took, or has been at it.
    pub took: String,
    /// What it said, why it failed, or what it waits for.
    pub what: String,
}

/// A row for each step; of the items of a list, which may be thousands, only for those that are under way or in trouble. `live` says
/// whether an engine works on the run, and times of steps in progress are counted until `until`.
pub fn rows(run: &Run, live: bool, until: Timestamp) -> Vec<StepStatus<'_>> {
    let shown = run.steps.iter().enumerate().filter(|(_, step)| is_shown(run, step));
    shown.map(|(place, step)| row(run, place, step, live, until)).collect()
}

fn is_shown(run: &Run, step: &StepRun) -> bool {
    !run.is_item(&step.id) || !matches!(step.state, StepState::Waiting | StepState::Succeeded { .. })
}

fn row<'a>(run: &Run, place: usize, step: &'a StepRun, live: bool, until: Timestamp) -> StepStatus<'a> {
    let cut_off = is_cut_off(&step.state, live);
    StepStatus {
        step: &step.id,
        tone: tone(&step.state, cut_off),
        state: state(run, step, cut_off),
        took: took(step, until),
        what: what(run, place, step, cut_off),
    }
}

fn tone(state: &StepState, cut_off: bool) -> Tone {
    match state {
        StepState::Succeeded { known_by: KnownBy::NoItems, .. } => Tone::Warn,
        StepState::Succeeded { .. } | StepState::ResolvedByHand { .. } | StepState::Undone => Tone::Good,
        StepState::Failed { .. } | StepState::UndoFailed { .. } => Tone::Bad,
        StepState::Awaiting(_) | StepState::Skipped { .. } | StepState::Interrupted(_) | StepState::Cancelled => {
            Tone::Warn
        }
        _ if cut_off => Tone::Warn,
        _ => Tone::Plain,
    }
}

fn state(run: &Run, step: &StepRun, cut_off: bool) -> String {
    let is_dry = run.started.as_ref().is_some_and(|(_, facts)| facts.mode == Mode::DryRun);
    match &step.state {
        _ if cut_off => "cut off".to_owned(),
        // Nothing was done, so nothing has succeeded.
        StepState::Succeeded { known_by, .. } if is_dry && *known_by != KnownBy::NoItems => "tried".to_owned(),
        state => state.word().replace('_', " "),
    }
}

fn what(run: &Run, place: usize, step: &StepRun, cut_off: bool) -> String {
    match &step.state {
        StepState::FannedOut { .. } => progress(run.items(&step.id)),
        StepState::Succeeded { summary, .. } => summary.clone(),
        StepState::Skipped { reason } => words::skipped(reason),
        StepState::Waiting | StepState::Cancelled => {
            run.skips.get(&place).map(|reason| format!("will be {}", words::skipped(reason))).unwrap_or_default()
        }
        _ if cut_off => "was interrupted when the engine ended; its effect is unknown".to_owned(),
        state => state.failure().map(words::failure).or_else(|| waits_for(state)).unwrap_or_default(),
    }
}

fn progress(items: &[StepRun]) -> String {
    let over = items.iter().filter(|item| item.state.is_over()).count();
    format!("{over} of {} items done", items.len())
}
