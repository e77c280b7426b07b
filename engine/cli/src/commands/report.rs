//! `lifeboat report`: what a run did, told again.

use std::fs;

use anyhow::Context;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use lifeboat_core::name::RunId;
use lifeboat_present::drill::{self, DrillReport};
use lifeboat_runtime::home::Home;

use crate::{
    arguments::Global,
    engine,
    exit::Exit,
    output::{data, data_as_is, json, painted},
    problem::Problem,
    recorded, view,
};

/// Show what a run or a drill did
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat report last\n  lifeboat report last --format json\n  \
    xdg-open \"$(lifeboat report last --format html-path)\"")]
pub(crate) struct Arguments {
    /// A run: its name, the beginning of it, or `last`
    #[arg(default_value = "last")]
    run: String,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// What to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Every event as a line, then the verdict of a drill
    Text,
    /// `report.json` of a drill; a document about any other run
    Json,
    /// The path of `report.html` of a drill
    HtmlPath,
    /// `report.md` of a drill, told again by this version
    Markdown,
    /// `junit.xml` of a drill, told again by this version
    Junit,
}

pub(crate) fn execute(arguments: &Arguments, global: &Global) -> anyhow::Result<Exit> {
    let home = engine::home_to_read(global)?;
    let run = home.find_to_read(&arguments.run)?;
    match if arguments.json { Format::Json } else { arguments.format } {
        Format::Text => print_text(&home, &run)?,
        Format::Json => print_json(&home, &run)?,
        Format::HtmlPath => {
            let path = home.run_folder(&run).join("report.html");
            if !path.exists() {
                return Err(no_drill(&run).into());
            }
            data(path.display());
        }
        Format::Markdown => data_as_is(drill::markdown(&of_drill(&home, &run)?)),
        Format::Junit => data_as_is(drill::junit(&of_drill(&home, &run)?)),
    }
    Ok(Exit::Done)
}

fn no_drill(run: &RunId) -> Problem {
    Problem::new(Exit::Failed, format!("`{run}` has no report page")).hint("only drills have a report page")
}

/// The whole journal as a person reads it. A drill in which no engine ran has none.
fn print_text(home: &Home, run: &RunId) -> anyhow::Result<()> {
    let has_run = home.journal(run).exists();
    if has_run {
        let loaded = home.load(run)?;
        loaded.events.iter().for_each(|recorded| data(view::tell(recorded, &loaded.run)));
    }
    if let Some(report) = drill_report(home, run)? {
        let report = drill::read(&report).with_context(|| format!("the report of `{run}` cannot be read"))?;
        if has_run {
            data("");
        }
        drill::lines(&report).iter().map(painted).for_each(data);
    }
    Ok(())
}

fn print_json(home: &Home, run: &RunId) -> anyhow::Result<()> {
    match drill_report(home, run)? {
        Some(report) => data_as_is(format_args!("{}\n", report.trim_end())),
        None => {
            let loaded = home.load(run)?;
            json(&recorded::document(&loaded, home.holder(run)?.is_some(), Timestamp::now()))?;
        }
    }
    Ok(())
}

fn of_drill(home: &Home, run: &RunId) -> anyhow::Result<DrillReport> {
    let report = drill_report(home, run)?.ok_or_else(|| no_drill(run))?;
    drill::read(&report).with_context(|| format!("the report of `{run}` cannot be read"))
}

/// `report.json` of a drill, as it was written then.
fn drill_report(home: &Home, run: &RunId) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(home.report(run)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
