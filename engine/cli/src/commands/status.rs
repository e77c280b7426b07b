//! `lifeboat status`: how one run stands, what it waits for, what is left of its RTO.

use clap::Args;
use jiff::Timestamp;
use lifeboat_core::{
    name::RunId,
    run::{Phase, StepRun, StepState},
};
use lifeboat_present::{
    status::{self, StepStatus},
    step::is_cut_off,
};
use lifeboat_runtime::{
    holder::Holder,
    home::{Home, Loaded},
};

use crate::{
    arguments::Global,
    copies, engine,
    exit::Exit,
    output::{BAD, data, json, painted, style, styled},
    recorded, table, view,
};

/// Show the state of a run and what it waits for
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat status\n  lifeboat status dr-003-20261121-7f3a --json")]
pub(crate) struct Arguments {
    /// A run: its name, the beginning of it, or `last`
    #[arg(default_value = "last")]
    run: String,
    /// When users first noticed, instead of the time in the journal: show the RTO budget as if it counted from here
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
        json(&recorded::document(&loaded, engine.is_some(), now))?;
        return Ok(Exit::Done);
    }
    if engine.is_none() && !matches!(loaded.run.phase, Phase::Finished { .. }) {
        print_dead(&home, &run, &loaded)?;
    }
    print_head(&loaded, engine.as_ref(), arguments.onset, now);
    let heading = ["", "STEP", "STATE", "TOOK", ""].map(str::to_owned).to_vec();
    // Without an engine nothing is in progress: a step that was running counts up to the last known event.
    let until = if engine.is_some() { now } else { loaded.end.at.unwrap_or(now) };
    let rows = status::rows(&loaded.run, engine.is_some(), until);
    table::show(&std::iter::once(heading).chain(rows.into_iter().map(row)).collect::<Vec<_>>());
    print_people(&loaded);
    let copies = copies::left_by(&home, &loaded)?;
    if !copies.is_empty() {
        data("\ncopies that it made and that still exist:");
        copies.iter().for_each(|copy| data(format_args!("  {copy}")));
    }
    Ok(Exit::Done)
}

/// That no engine works on the run, and what to type: first of all, because nothing else happens before that.
fn print_dead(home: &Home, run: &RunId, loaded: &Loaded) -> anyhow::Result<()> {
    let dead = styled(BAD, "NO ENGINE WORKS ON THIS RUN.");
    let is = |what: fn(&StepState) -> bool| loaded.run.steps.iter().filter(move |step| what(&step.state));
    let names = |steps: Vec<&StepRun>| steps.iter().map(|step| format!("`{}`", step.id)).collect::<Vec<_>>().join(", ");
    let cut_off: Vec<&StepRun> = is(|state| is_cut_off(state, false)).collect();
    let waiting: Vec<&StepRun> = is(|state| matches!(state, StepState::Awaiting(_))).collect();
    match home.lost_lease(run)? {
        Some(loss) => data(format_args!("{dead} It cannot continue: {loss}. Start another run.")),
        None if !cut_off.is_empty() => data(format_args!(
            "{dead} Its engine ended during {}. Run `lifeboat resume {run}` to find out what took effect and to \
             continue.",
            names(cut_off)
        )),
        None if !waiting.is_empty() => data(format_args!(
            "{dead} It waits for an answer about {}. Run `lifeboat resume {run}` to answer and continue.",
            names(waiting)
        )),
        None => data(format_args!("{dead} Run `lifeboat resume {run}` to continue.")),
    }
    data("");
    Ok(())
}

fn print_head(loaded: &Loaded, engine: Option<&Holder>, onset: Option<Timestamp>, now: Timestamp) {
    let engine = engine.map(ToString::to_string);
    let head = status::head(&loaded.plan, &loaded.run, engine.as_deref(), onset, now);
    if !head.is_empty() {
        head.iter().map(painted).for_each(data);
        data("");
    }
}

/// A step as a row of the table.
fn row(row: StepStatus<'_>) -> Vec<String> {
    vec![styled(style(row.tone), row.tone.symbol()), row.step.to_string(), row.state, row.took, row.what]
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
