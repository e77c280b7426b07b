//! `lifeboat schema`: the JSON schema of the files, generated from the types that read them.

use clap::{Args, ValueEnum};
use lifeboat_core::schema;
use lifeboat_present::coverage;
use lifeboat_simulator::drill;

use crate::{exit::Exit, output::json};

/// Print the JSON schema of runbooks, bindings or drills, for editors, or of a document that is printed
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lifeboat schema > runbook.schema.json")]
pub(crate) struct Arguments {
    /// The kind of file or document
    #[arg(value_enum, default_value_t = Of::Runbook)]
    of: Of,
}

/// A kind of file.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Of {
    /// A runbook
    Runbook,
    /// A bindings file
    Bindings,
    /// A drill file
    Drill,
    /// What `lifeboat coverage --json` prints
    Coverage,
}

pub(crate) fn execute(arguments: &Arguments) -> anyhow::Result<Exit> {
    json(&match arguments.of {
        Of::Runbook => schema::runbook(),
        Of::Bindings => schema::bindings(),
        Of::Drill => drill::schema(),
        Of::Coverage => coverage::schema(),
    })?;
    Ok(Exit::Done)
}
