//! `lifeboat status`: how one run stands, what it waits for, what is left of its RTO.

use clap::Args;
use jiff::Timestamp;
use lifeboat_core::{
    event::{KnownBy, Mode, SkipReason},
    name::RunId,
    run::{Budget, Phase, Run, Since, StepRun, StepState},
};
use lifeboat_runtime::{
    holder::Holder,
    home::{Home, Loaded},
};

use crate::{
    arguments::Global,
    copies, document, elapsed, engine,
    exit::Exit,
    output::{BAD, GOOD, QUIET, STRONG, WARN, data, json, styled},
    table,
    view::{self, budget_text, failure_text, outcome_text, skipped_text},
};

/// Show how a run stands and what it waits for
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat status\n  lifeboat status dr-003-20261121-7f3a --json")]
pub(crate) struct Arguments {
    /// A run: its name, the beginning of it, or `last`
    #[arg(default_value = "last")]
    run: String,
    /// When users first noticed, in place of what the journal says: the RTO budget is shown as if it counted from here
    #[arg(long, value_name = "TIMESTAMP")]
    onset: Option<Timestamp>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn execute(arguments: &Arguments, global: &Global) -> anyhow::Result<Exit> {
    let home = engine::home_to_read(global)?;
    let run = home.find(&arguments.run)?;
    let loaded = home.load(&run)?;
    let now = Timestamp::now();
    let engine = home.holder(&run)?;
    if arguments.json {
        json(&document::run(&loaded, engine.is_some(), now))?;
        return Ok(Exit::Done);
    }
    if engine.is_none() && !matches!(loaded.run.phase, Phase::Finished { .. }) {
        print_dead(&home, &run, &loaded)?;
    }
    print_head(&loaded, engine.as_ref(), arguments.onset, now);
    let heading = ["", "STEP", "STATE", "TOOK", ""].map(str::to_owned).to_vec();
    let dry = loaded.run.started.as_ref().is_some_and(|(_, facts)| facts.mode == Mode::DryRun);
    // Without an engine nothing goes on: what was at work was so until the last that is known.
    let until = if engine.is_some() { now } else { loaded.end.at.unwrap_or(now) };
    let shown = loaded.run.steps.iter().enumerate().filter(|(_, step)| is_shown(&loaded.run, step));
    let rows = shown.map(|(place, step)| {
        let mut row = row(step, loaded.run.skips.get(&place), dry, (engine.is_some(), until));
        if let (StepState::FannedOut { .. }, Some(what)) = (&step.state, row.last_mut()) {
            *what = progress(loaded.run.items(&step.id));
        }
        row
    });
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    table::show(&rows);
    print_people(&loaded);
    let copies = copies::left_by(&home, &loaded)?;
    if !copies.is_empty() {
        data("\ncopies that it made and that still are there:");
        copies.iter().for_each(|copy| data(format_args!("  {copy}")));
    }
    Ok(Exit::Done)
}

/// That no engine works on the run, and what to type: first of all, because nothing else happens before that.
fn print_dead(home: &Home, run: &RunId, loaded: &Loaded) -> anyhow::Result<()> {
    let dead = styled(BAD, "NO ENGINE WORKS ON THIS RUN.");
    let is = |what: fn(&StepState) -> bool| loaded.run.steps.iter().filter(move |step| what(&step.state));
    let names = |steps: Vec<&StepRun>| steps.iter().map(|step| format!("`{}`", step.id)).collect::<Vec<_>>().join(", ");
    let cut_off: Vec<&StepRun> = is(|state| document::is_cut_off(state, false)).collect();
    let waiting: Vec<&StepRun> = is(|state| matches!(state, StepState::Awaiting(_))).collect();
    match home.lost_lease(run)? {
        Some(loss) => data(format_args!("{dead} It cannot go on: {loss}. Start another run.")),
        None if !cut_off.is_empty() => data(format_args!(
            "{dead} Its engine ended while it did {}. `lifeboat resume {run}` finds out what became of that, and goes on.",
            names(cut_off)
        )),
        None if !waiting.is_empty() => data(format_args!(
            "{dead} It waits for an answer about {}. `lifeboat resume {run}` asks and goes on.",
            names(waiting)
        )),
        None => data(format_args!("{dead} `lifeboat resume {run}` goes on.")),
    }
    data("");
    Ok(())
}

fn print_head(loaded: &Loaded, engine: Option<&Holder>, onset: Option<Timestamp>, now: Timestamp) {
    let Some((started, facts)) = &loaded.run.started else { return };
    let variant = loaded.plan.variant.map(|variant| format!(", {}", variant.as_str())).unwrap_or_default();
    let name = format!("{} ({}{variant})", facts.runbook.name, facts.runbook.id);
    data(format_args!("{}  {name}", styled(STRONG, &facts.run)));
    let dry = if facts.mode == Mode::DryRun { ", a dry-run: nothing is changed" } else { "" };
    data(format_args!("started {} UTC{dry}", elapsed::date_and_time(*started)));
    match loaded.run.phase {
        Phase::Finished { at, outcome } => {
            data(format_args!("{} after {}", outcome_text(outcome), elapsed::between(*started, at)));
        }
        _ => {
            if let Some(holder) = engine {
                data(format_args!("live: {holder}"));
            }
            if let Some(pause) = &loaded.run.pause {
                let why = pause.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                let since = elapsed::time_of_day(pause.since);
                data(format_args!("{} by {} since {since} UTC{why}", styled(WARN, "paused"), pause.who));
            }
            if let Some(budget) = loaded.run.budget(&loaded.plan.objectives) {
                let from = onset.map_or(budget, |from| Budget { from, since: Since::Onset, ..budget });
                data(budget_text(&from, now));
            }
        }
    }
    data("");
}

/// Of the items of a list, which may be thousands, only those that are under way or in trouble.
fn is_shown(run: &Run, step: &StepRun) -> bool {
    !run.is_item(&step.id) || !matches!(step.state, StepState::Waiting | StepState::Succeeded { .. })
}

fn progress(items: &[StepRun]) -> String {
    let over = items.iter().filter(|item| item.state.is_over()).count();
    format!("{over} of {} items", items.len())
}

/// What people did, the last of it.
fn print_people(loaded: &Loaded) {
    const LINES_MAX: usize = 10;
    let by_people: Vec<_> = loaded.events.iter().filter(|record| record.event.who().is_some()).collect();
    if by_people.is_empty() {
        return;
    }
    data("");
    data("what people did:");
    let first = by_people.len().saturating_sub(LINES_MAX);
    by_people[first..].iter().for_each(|record| data(format_args!("  {}", view::tell(record, &loaded.run))));
}

fn row(step: &StepRun, skip: Option<&SkipReason>, dry: bool, (live, now): (bool, Timestamp)) -> Vec<String> {
    let cut_off = document::is_cut_off(&step.state, live);
    let state = match &step.state {
        _ if cut_off => "cut off".to_owned(),
        // Nothing was done, so nothing has succeeded.
        StepState::Succeeded { known_by, .. } if dry && *known_by != KnownBy::NoItems => "tried".to_owned(),
        state => state.word().replace('_', " "),
    };
    let (style, symbol) = match &step.state {
        StepState::Succeeded { known_by: KnownBy::NoItems, .. } => (WARN, "!"),
        StepState::Succeeded { .. } | StepState::ResolvedByHand { .. } | StepState::Undone => (GOOD, "✔"),
        StepState::Failed { .. } | StepState::UndoFailed { .. } => (BAD, "✘"),
        StepState::Awaiting(_) | StepState::Skipped { .. } | StepState::Interrupted(_) | StepState::Cancelled => {
            (WARN, "!")
        }
        _ if cut_off => (WARN, "!"),
        _ => (QUIET, "·"),
    };
    let what = match &step.state {
        StepState::Succeeded { summary, .. } => summary.clone(),
        StepState::Skipped { reason } => skipped_text(reason),
        StepState::Waiting | StepState::Cancelled => {
            skip.map(|reason| format!("will be {}", skipped_text(reason))).unwrap_or_default()
        }
        _ if cut_off => "was at work when the engine ended; how far it came is not known".to_owned(),
        state => state.failure().map(failure_text).or_else(|| document::waits_for(state)).unwrap_or_default(),
    };
    vec![styled(style, symbol), step.id.to_string(), state, took(step, now), what]
}

/// How long a step took, or has been at it.
fn took(step: &StepRun, now: Timestamp) -> String {
    let Some(started) = step.started.filter(|_| step.attempts > 0) else { return String::new() };
    let goes_on = matches!(
        step.state,
        StepState::Running(_) | StepState::Observing(_) | StepState::BackingOff { .. } | StepState::Awaiting(_)
    );
    let end = if goes_on { Some(now) } else { step.changed };
    end.map(|end| elapsed::between(started, end)).unwrap_or_default()
}
