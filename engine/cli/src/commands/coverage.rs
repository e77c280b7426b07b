//! `lifeboat coverage`: what was rehearsed against what, and what was not.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use lifeboat_present::{
    chapter::Sheet,
    coverage::{Coverage, DrillCoverage, draw, drills_sheet, exercises_sheet, matrix_sheet, routines_sheet},
};
use lifeboat_simulator::{drill::DrillError, rehearsed};

use super::drill::shown;
use crate::{
    arguments::Global,
    engine,
    exit::Exit,
    output::{data, data_as_is, hint, json, painted},
    table,
};

/// Show which systems were rehearsed against which faults, what is overdue, and what never was
///
/// A cell is as good as the worst drill that was held for it. A pass counts with its notes: a drill without controls, one that is overdue,
/// and a result of an earlier version, drill file, runbook or plugin say so. How often a drill has to be held is said in its
/// file (`every`).
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat coverage\n  lifeboat coverage drills/*.yaml\n  \
    lifeboat coverage --format svg > coverage.svg\n  \
    lifeboat coverage --json | jq '.cells[] | select(.state != \"met\")'")]
pub(crate) struct Arguments {
    /// Drill files beside the drills in this binary
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// What to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables
    Table,
    /// One JSON document; `lifeboat schema coverage` prints its schema
    Json,
    /// A picture that stands alone
    Svg,
}

pub(crate) fn execute(arguments: &Arguments, global: &Global) -> anyhow::Result<Exit> {
    let home = engine::home_to_read(global)?;
    let coverage = told(rehearsed::covered(&home, &arguments.files, Timestamp::now()))?;
    match if arguments.json { Format::Json } else { arguments.format } {
        Format::Json => json(&coverage)?,
        Format::Svg => data_as_is(draw(&coverage)),
        Format::Table => print(&coverage),
    }
    Ok(Exit::Done)
}

/// If a drill file is wrong, everything that is wrong with it is shown.
pub(super) fn told<T>(told: Result<T, DrillError>) -> anyhow::Result<T> {
    told.map_err(|error| match error {
        DrillError::Engine(error) => error.into(),
        error => shown(error).into(),
    })
}

fn print(coverage: &Coverage) {
    let routines = (!coverage.routines.is_empty()).then(|| routines_sheet(coverage));
    let sheets = [matrix_sheet(coverage), exercises_sheet(coverage), drills_sheet(coverage)];
    for (number, sheet) in sheets.iter().chain(&routines).enumerate() {
        if number > 0 {
            data("");
        }
        show(sheet);
    }
    advise(coverage);
}

/// A sheet as a table: its heads in capitals.
fn show(Sheet { heads, rows, .. }: &Sheet) {
    let heads = heads.iter().map(|head| head.to_uppercase()).collect();
    let rows = rows.iter().map(|row| row.iter().map(painted).collect());
    table::show(&std::iter::once(heads).chain(rows).collect::<Vec<_>>());
}

/// What to do about it.
fn advise(coverage: &Coverage) {
    if coverage.drills.iter().all(|drill| drill.held == 0) {
        hint("no drill was held yet, so nothing is rehearsed");
    }
    for drill in coverage.drills.iter().filter(|drill| drill.held == 0 || drill.overdue == Some(true)) {
        match &drill.command {
            Some(command) => hint(format_args!("`{command}` holds {} now", drill.drill)),
            None => hint(format_args!("to hold {} again, give its file to `lifeboat drill`", drill.drill)),
        }
    }
    let unplaced = coverage.drills.iter().filter(|drill| !drill.is_placed);
    for DrillCoverage { drill, .. } in unplaced {
        hint(format_args!("what {drill} exercises was not recorded: `lifeboat coverage FILE` takes it from its file"));
    }
    if !coverage.not_rehearsed.is_empty() {
        hint(format_args!("executed, and rehearsed by no drill: {}", coverage.not_rehearsed.join(", ")));
    }
}
