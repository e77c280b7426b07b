//! `lifeboat history`: what was rehearsed, how it went, and what is due.

use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;
use lifeboat_present::{
    drill::{Every, Interval, verdict},
    elapsed,
    history::{self, Holding, Record},
};
use lifeboat_runtime::home::Home;
use lifeboat_simulator::{drill::DrillRequest, rehearsed};
use serde_json::json;

use crate::{
    arguments::Global,
    engine,
    exit::Exit,
    output::{BAD, WARN, hint, json as print_json, painted, styled},
    problem::Problem,
    table,
};

/// Show the drills that were held: verdicts, recovery times, what got worse, what is overdue
///
/// How often a drill has to be held is said in its file (`every`); a drill whose file does not say it is never overdue. Runbooks that were executed but never rehearsed are listed as never held.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat history\n  lifeboat history DR-003\n  \
    lifeboat history --json | jq '.drills[] | select(.overdue)'")]
pub(crate) struct Arguments {
    /// A drill: show each time that it was held
    name: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn execute(arguments: &Arguments, global: &Global) -> anyhow::Result<Exit> {
    let home = engine::home_to_read(global)?;
    let holdings = history::holdings(home.history()?);
    let mut records = history::records(&holdings, &rehearsals(&home)?, &rehearsed::runs(&home)?, Timestamp::now());
    if let Some(name) = &arguments.name {
        records.retain(|record| record.drill.eq_ignore_ascii_case(name));
        if records.is_empty() {
            let problem = Problem::usage(format!("no drill or runbook `{name}` was ever held or executed here"));
            return Err(problem.hint("`lifeboat history` lists all of them").into());
        }
    }
    let of: Vec<&Holding> =
        holdings.iter().filter(|holding| records.iter().any(|record| record.drill == holding.drill)).collect();
    if arguments.json {
        print_json(&json!({ "format": "lifeboat.history/1", "drills": records, "held": of }))?;
        return Ok(Exit::Done);
    }
    table::show(&summary(&records, Timestamp::now()));
    if arguments.name.is_some() && !of.is_empty() {
        crate::output::data("");
        table::show(&each(&of));
    }
    advise(&records);
    Ok(Exit::Done)
}

/// The drills of this binary that rehearse a recovery, with how often they have to be held.
fn rehearsals(home: &Home) -> anyhow::Result<BTreeMap<String, Option<Every>>> {
    let known = |name| DrillRequest::new(name, home.path()).map(|request| (request.spec.drill, request.spec.every));
    Ok(DrillRequest::rehearsals().map(known).collect::<Result<_, _>>()?)
}

fn summary(records: &[Record], now: Timestamp) -> Vec<Vec<String>> {
    let heading = ["DRILL", "LAST HELD (UTC)", "VERDICT", "HELD", "MET", "RTO MEDIAN", "TREND", "RUNS", ""];
    let row = |record: &Record| {
        let last = record.last.as_ref();
        let seconds = record.rto_median_s.map(elapsed::seconds).unwrap_or_default();
        let trend = record.rto_trend_percent.map(|percent| format!("{percent:+.0} %")).unwrap_or_default();
        vec![
            record.drill.clone(),
            last.map_or_else(|| "never".to_owned(), |last| elapsed::date_and_time(last.at)),
            last.map(|last| painted(&verdict(&last.verdict))).unwrap_or_default(),
            record.held.to_string(),
            record.met.to_string(),
            seconds,
            trend,
            record.runs.to_string(),
            remarks(record, now),
        ]
    };
    std::iter::once(heading.map(str::to_owned).to_vec()).chain(records.iter().map(row)).collect()
}

/// What needs attention.
fn remarks(record: &Record, now: Timestamp) -> String {
    let due = match &record.last {
        None if record.overdue => Some(styled(WARN, "never held")),
        None => None,
        Some(last) if record.overdue => {
            Some(styled(WARN, format_args!("overdue: last held {} ago", elapsed::between(last.at, now))))
        }
        Some(_) => None,
    };
    let routine = match record.runs_succeeded {
        _ if !record.runs_overdue => None,
        None => Some(styled(WARN, "overdue: its runbook never succeeded")),
        Some(last) => {
            Some(styled(WARN, format_args!("overdue: its runbook last succeeded {} ago", elapsed::between(last, now))))
        }
    };
    let worse = record.regressions.iter().map(|what| styled(BAD, what));
    due.into_iter().chain(routine).chain(worse).collect::<Vec<_>>().join("; ")
}

fn each(holdings: &[&Holding]) -> Vec<Vec<String>> {
    let heading = ["HELD (UTC)", "RUN", "VERDICT", "RTO", "RPO", "LOST", "ON"];
    let row = |holding: &&Holding| {
        vec![
            elapsed::date_and_time(holding.at),
            holding.run.clone(),
            painted(&verdict(&holding.verdict)),
            length(holding.rto_s),
            length(holding.rpo_s),
            holding.lost.map_or_else(|| "unmeasured".to_owned(), |lost| lost.to_string()),
            holding.backend.clone(),
        ]
    };
    std::iter::once(heading.map(str::to_owned).to_vec()).chain(holdings.iter().rev().map(row)).collect()
}

fn length(interval: Option<Interval>) -> String {
    match interval {
        Some(Interval { high: Some(high), .. }) => elapsed::seconds(high),
        Some(Interval { low, high: None }) => format!("> {}", elapsed::seconds(low)),
        None => "unmeasured".to_owned(),
    }
}

fn advise(records: &[Record]) {
    let built_in = |drill: &str| DrillRequest::built_in().find(|name| name.eq_ignore_ascii_case(drill));
    for name in records.iter().filter(|record| record.overdue).filter_map(|record| built_in(&record.drill)) {
        hint(format_args!("`lifeboat drill {name}` holds it now"));
    }
}
