//! `lifeboat verify-journal`: whether a journal is what the engine wrote.

use std::path::Path;

use clap::Args;
use lifeboat_present::elapsed;
use lifeboat_runtime::journal::{Summary, verify};

use crate::{
    arguments::Global,
    engine,
    exit::Exit,
    output::{GOOD, data, hint, json as print_json, styled},
};

/// Verify the hash chain of a journal, and show the first wrong line
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lifeboat verify-journal last\n  lifeboat verify-journal backup/journal.jsonl --json"
)]
pub(crate) struct Arguments {
    /// A run (its name, the beginning of it, or `last`), or the path of a journal
    #[arg(value_name = "RUN|FILE")]
    journal: String,
    /// Print a JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn execute(arguments: &Arguments, global: &Global) -> anyhow::Result<Exit> {
    let file = Path::new(&arguments.journal);
    let summary = if file.is_file() { verify(file)? } else { of_run(&arguments.journal, global)? };
    if arguments.json {
        print_json(&summary)?;
    } else {
        lines(&summary).into_iter().for_each(data);
        hint("the chain cannot detect a truncated end; store the last hash elsewhere");
    }
    Ok(Exit::Done)
}

/// A run in the state folder has its plan too, so each event is also checked against the events before it.
fn of_run(name: &str, global: &Global) -> anyhow::Result<Summary> {
    let home = engine::home_to_read(global)?;
    let run = home.find(name)?;
    let summary = verify(&home.journal(&run))?;
    home.load(&run)?;
    Ok(summary)
}

fn lines(summary: &Summary) -> Vec<String> {
    let run = summary.run.as_ref().map_or_else(|| "an empty journal".to_owned(), ToString::to_string);
    let mut lines = vec![format!("{run}  {}", styled(GOOD, "unbroken"))];
    let span = summary.first.zip(summary.last);
    let span =
        span.map(|(first, last)| format!(", {} to {}", elapsed::date_and_time(first), elapsed::date_and_time(last)));
    lines.push(format!("  records  {}{}", summary.records, span.unwrap_or_default()));
    lines.push(format!("  last     {}", summary.hash));
    if summary.torn_bytes > 0 {
        lines.push(format!(
            "  torn     {} bytes after it: a line that was being written when the engine ended",
            summary.torn_bytes
        ));
    }
    lines
}
