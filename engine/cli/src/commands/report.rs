//! `lifeboat report`: what a run did, told again.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use lifeboat_core::{digest::sha256, name::RunId};
use lifeboat_present::{
    drill::{self, DrillReport},
    run_report::{self, RunReport},
};
use lifeboat_runtime::home::Home;
use lifeboat_simulator::rehearsed;

use crate::{
    arguments::Global,
    copies, engine,
    exit::Exit,
    output::{data, data_as_is, json, painted},
    problem::Problem,
    recorded, view,
};

/// Show what a run or a drill did
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat report last\n  lifeboat report last --format json\n  \
    lifeboat report dr-003-20261121-7f3a --format html > incident.html\n  \
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
    /// A page that stands alone: `report.html` of a drill as it was written then, of any other run told now
    Html,
    /// The path of `report.html` of a drill
    HtmlPath,
    /// The same as text, told by this version: for a ticket
    Markdown,
    /// A test suite, told by this version: for continuous integration
    Junit,
}

pub(crate) fn execute(arguments: &Arguments, global: &Global) -> anyhow::Result<Exit> {
    let home = engine::home_to_read(global)?;
    let run = home.find_to_read(&arguments.run)?;
    match if arguments.json { Format::Json } else { arguments.format } {
        Format::Text => print_text(&home, &run)?,
        Format::Json => print_json(&home, &run)?,
        Format::Html => data_as_is(html(&home, &run)?),
        Format::HtmlPath => data(drill_page(&home, &run).ok_or_else(|| no_page(&run))?.display()),
        Format::Markdown => data_as_is(told(&home, &run, drill::markdown, run_report::markdown)?),
        Format::Junit => data_as_is(told(&home, &run, drill::junit, run_report::junit)?),
    }
    Ok(Exit::Done)
}

fn no_page(run: &RunId) -> Problem {
    let hint = format!("only drills leave a page; `lifeboat report {run} --format html` prints one of any run");
    Problem::new(Exit::Failed, format!("`{run}` has no report page")).hint(hint)
}

/// The page that a drill has left.
fn drill_page(home: &Home, run: &RunId) -> Option<PathBuf> {
    Some(home.run_folder(run).join("report.html")).filter(|path| path.exists())
}

fn html(home: &Home, run: &RunId) -> anyhow::Result<String> {
    match drill_page(home, run) {
        Some(path) => fs::read_to_string(&path).with_context(|| format!("`{}` cannot be read", path.display())),
        None => of_run(home, run, run_report::page),
    }
}

/// A drill by its report, any other run by its journal.
fn told(
    home: &Home,
    run: &RunId,
    of_drill: fn(&DrillReport) -> String,
    of_run: fn(&RunReport<'_>) -> Option<String>,
) -> anyhow::Result<String> {
    match rehearsed::report(home, run)? {
        Some(text) => Ok(of_drill(&read(&text, run)?)),
        None => self::of_run(home, run, of_run),
    }
}

fn of_run(home: &Home, run: &RunId, tell: fn(&RunReport<'_>) -> Option<String>) -> anyhow::Result<String> {
    let loaded = home.load(run)?;
    let events: Vec<_> = loaded.events.iter().map(|record| (record.at, &record.event)).collect();
    let report = RunReport {
        plan: &loaded.plan,
        run: &loaded.run,
        events: &events,
        live: home.holder(run)?.is_some(),
        copies: &copies::left_by(home, &loaded)?,
        journal_hash: &loaded.end.hash,
        records: loaded.end.seq,
        bindings_digest: &sha256(&loaded.bindings_source),
        now: Timestamp::now(),
    };
    tell(&report).with_context(|| format!("`{run}` has not begun"))
}

fn read(report: &str, run: &RunId) -> anyhow::Result<DrillReport> {
    drill::read(report).with_context(|| format!("the report of `{run}` cannot be read"))
}

/// The whole journal as a person reads it. A drill in which no engine ran has none.
fn print_text(home: &Home, run: &RunId) -> anyhow::Result<()> {
    let has_run = home.journal(run).exists();
    if has_run {
        let loaded = home.load(run)?;
        loaded.events.iter().for_each(|recorded| data(view::tell(recorded, &loaded.run)));
    }
    if let Some(report) = rehearsed::report(home, run)? {
        let report = read(&report, run)?;
        if has_run {
            data("");
        }
        drill::lines(&report).iter().map(painted).for_each(data);
    }
    Ok(())
}

fn print_json(home: &Home, run: &RunId) -> anyhow::Result<()> {
    match rehearsed::report(home, run)? {
        Some(report) => data_as_is(format_args!("{}\n", report.trim_end())),
        None => {
            let loaded = home.load(run)?;
            json(&recorded::document(&loaded, home.holder(run)?.is_some(), Timestamp::now()))?;
        }
    }
    Ok(())
}
