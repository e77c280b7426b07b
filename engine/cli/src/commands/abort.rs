//! `lifeboat abort`: ends a run early.

use clap::Args;
use lifeboat_core::operator::Command;

use crate::{
    arguments::Global,
    exit::Exit,
    telling::{Case, Of},
};

/// End a run early
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lifeboat abort last --reason \"the primary is back\"\n  lifeboat abort last --undo\n\n\
    Without `--undo` everything in flight is cut off and stays as it is. With it, what runs is waited for, and then everything \
    is taken back, last first; a second `lifeboat abort` ends that too. Copies that stay are named; `lifeboat copies` lists them, and \
    removes them."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    of: Of,
    /// Take back what was done
    #[arg(long)]
    undo: bool,
    /// Why, for the journal and the report
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) async fn execute(arguments: Arguments, global: &Global) -> anyhow::Result<Exit> {
    let command = Command::Abort { reason: arguments.reason, undo: arguments.undo };
    Case::open(&arguments.of, global)?.tell(command).await
}
