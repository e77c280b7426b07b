//! `lifeboat status`: how one run stands, what it waits for, what is left of its RTO.

use clap::Args;
use jiff::Timestamp;
use lifeboat_core::{
    event::{Mode, SkipReason},
    run::{Budget, Phase, Run, Since, StepRun, StepState},
};
use lifeboat_runtime::home::{Home, Loaded};

use crate::{
    arguments::Global,
    document, elapsed, engine,
    exit::Exit,
    output::{BAD, GOOD, QUIET, STRONG, WARN, data, hint, json, styled},
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
    let home = engine::home(global)?;
    let run = home.find(&arguments.run)?;
    let loaded = home.load(&run)?;
    let now = Timestamp::now();
    if arguments.json {
        json(&document::run(&loaded, now))?;
        return Ok(Exit::Done);
    }
    print_head(&home, &loaded, arguments.onset, now)?;
    let heading = ["", "STEP", "STATE", "TOOK", ""].map(str::to_owned).to_vec();
    let dry = loaded.run.started.as_ref().is_some_and(|(_, facts)| facts.mode == Mode::DryRun);
    let shown = loaded.run.steps.iter().enumerate().filter(|(_, step)| is_shown(&loaded.run, step));
    let rows = shown.map(|(place, step)| {
        let mut row = row(step, loaded.run.skips.get(&place), dry, now);
        if let (StepState::FannedOut { .. }, Some(what)) = (&step.state, row.last_mut()) {
            *what = progress(loaded.run.items(&step.id));
        }
        row
    });
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    table::lines(&rows).into_iter().for_each(data);
    print_people(&loaded);
    if !matches!(loaded.run.phase, Phase::Finished { .. }) && home.holder(&run)?.is_none() {
        match home.lost_lease(&run)? {
            Some(loss) => hint(format_args!("it can not go on: {loss}")),
            None => hint(format_args!("nobody works on it; `lifeboat resume {run}` goes on")),
        }
    }
    Ok(Exit::Done)
}

fn print_head(home: &Home, loaded: &Loaded, onset: Option<Timestamp>, now: Timestamp) -> anyhow::Result<()> {
    let Some((started, facts)) = &loaded.run.started else { return Ok(()) };
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
            if let Some(holder) = home.holder(&facts.run)? {
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
    Ok(())
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

fn row(step: &StepRun, skip: Option<&SkipReason>, dry: bool, now: Timestamp) -> Vec<String> {
    let state = match &step.state {
        // Nothing was done, so nothing has succeeded.
        StepState::Succeeded { .. } if dry => "tried".to_owned(),
        state => state.word().replace('_', " "),
    };
    let (style, symbol) = match &step.state {
        StepState::Succeeded { .. } | StepState::ResolvedByHand { .. } | StepState::Undone => (GOOD, "✔"),
        StepState::Failed { .. } | StepState::UndoFailed { .. } => (BAD, "✘"),
        StepState::Awaiting(_) | StepState::Skipped { .. } | StepState::Interrupted(_) | StepState::Cancelled => {
            (WARN, "!")
        }
        _ => (QUIET, "·"),
    };
    let what = match &step.state {
        StepState::Succeeded { summary, .. } => summary.clone(),
        StepState::Skipped { reason } => skipped_text(reason),
        StepState::Waiting | StepState::Cancelled => {
            skip.map(|reason| format!("will be {}", skipped_text(reason))).unwrap_or_default()
        }
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
