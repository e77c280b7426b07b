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
    Without `--undo`, everything in flight is cut off and left as it is. With `--undo`, running steps end first, then all steps \
    are undone, last first; a second `lifeboat abort` ends that too. Remaining copies are shown; `lifeboat copies` lists and \
    removes them."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    of: Of,
    /// Undo what was done
    #[arg(long)]
    undo: bool,
    /// The reason, shown in the journal and the report
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) async fn execute(arguments: Arguments, global: &Global) -> anyhow::Result<Exit> {
    let command = Command::Abort { reason: arguments.reason, undo: arguments.undo };
    Case::open(&arguments.of, global)?.tell(command).await
}
