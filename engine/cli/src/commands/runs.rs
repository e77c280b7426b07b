//! `lifeboat runs`: every run on this machine.

use std::collections::BTreeMap;

use clap::Args;
use lifeboat_present::{drill::verdict, elapsed, words};
use lifeboat_runtime::home::{Home, Listed, Standing};
use serde_json::{Value, json};

use crate::{
    arguments::Global,
    engine,
    exit::Exit,
    output::{BAD, GOOD, WARN, hint, json as print_json, painted, style, styled},
    table,
};

/// List every run on this machine, newest first
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat runs\n  lifeboat runs --json | jq '.[] | select(.state == \"waiting\")'")]
pub(crate) struct Arguments {
    /// Print a JSON list
    #[arg(long)]
    json: bool,
}

pub(crate) fn execute(arguments: &Arguments, global: &Global) -> anyhow::Result<Exit> {
    let home = engine::home_to_read(global)?;
    let runs = home.runs()?;
    let verdicts = verdicts(&home)?;
    if arguments.json {
        print_json(&runs.iter().map(|listed| document(listed, &verdicts)).collect::<Vec<_>>())?;
    } else if runs.is_empty() {
        hint("there are no runs yet; to rehearse a recovery, run `lifeboat drill dr-003`");
    } else {
        let heading = ["RUN", "RUNBOOK", "KIND", "STARTED (UTC)", "TOOK", "STATE"].map(str::to_owned).to_vec();
        let rows: Vec<_> = std::iter::once(heading).chain(runs.iter().map(|listed| row(listed, &verdicts))).collect();
        table::show(&rows);
    }
    Ok(Exit::Done)
}

/// What each drill came to, by its run.
fn verdicts(home: &Home) -> anyhow::Result<BTreeMap<String, String>> {
    let text = |line: &Value, name: &str| line[name].as_str().map(str::to_owned);
    let verdict = |line: &Value| Some((text(line, "run")?, text(line, "verdict")?));
    Ok(home.history()?.iter().filter_map(verdict).collect())
}

fn row(listed: &Listed, verdicts: &BTreeMap<String, String>) -> Vec<String> {
    let ended = matches!(listed.standing, Standing::Finished(_)).then_some(listed.changed).flatten();
    let took = listed.started.zip(ended).map(|(start, end)| elapsed::between(start, end)).unwrap_or_default();
    let started = listed.started.map(elapsed::date_and_time).unwrap_or_default();
    let runbook = listed.runbook.as_ref().map(|runbook| runbook.id.clone()).unwrap_or_default();
    let kind = match listed.standing {
        Standing::Damaged(_) => "",
        _ if listed.is_drill => "drill",
        _ => "run",
    };
    let verdict = verdicts.get(listed.run.as_str()).map(|word| format!("; drill {}", painted(&verdict(word))));
    let state = format!("{}{}", standing(listed), verdict.unwrap_or_default());
    vec![listed.run.to_string(), runbook, kind.to_owned(), started, took, state]
}

fn standing(listed: &Listed) -> String {
    let engine = listed.engine.as_ref().map_or(", no engine".to_owned(), |holder| format!(" ({holder})"));
    match &listed.standing {
        Standing::Live => styled(GOOD, format_args!("live{engine}")),
        Standing::Waiting => styled(WARN, format_args!("waits for a person{engine}")),
        Standing::Paused(pause) => styled(WARN, format_args!("paused by {}{engine}", pause.who)),
        Standing::Resumable => styled(BAD, "no engine; can be resumed"),
        Standing::Fenced(loss) => styled(BAD, format_args!("cannot continue: `{}` was taken over", loss.resource)),
        Standing::Finished(outcome) => styled(style(words::outcome_tone(*outcome)), words::outcome(*outcome)),
        Standing::Damaged(code) => styled(BAD, format_args!("damaged [{code}]")),
    }
}

fn document(listed: &Listed, verdicts: &BTreeMap<String, String>) -> Value {
    let (state, detail) = match &listed.standing {
        Standing::Live => ("live", Value::Null),
        Standing::Waiting => ("waiting", Value::Null),
        Standing::Paused(pause) => {
            ("paused", json!({ "since": pause.since, "who": pause.who, "reason": pause.reason }))
        }
        Standing::Resumable => ("resumable", Value::Null),
        Standing::Fenced(loss) => ("fenced", json!(loss)),
        Standing::Finished(outcome) => ("finished", json!(outcome)),
        Standing::Damaged(code) => ("damaged", json!(code)),
    };
    json!({
        "run": listed.run,
        "runbook": listed.runbook,
        "started": listed.started,
        "changed": listed.changed,
        "state": state,
        "detail": detail,
        "engine": listed.engine,
        "live": listed.engine.is_some(),
        "drill": listed.is_drill,
        "verdict": verdicts.get(listed.run.as_str()),
    })
}
