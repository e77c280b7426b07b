//! `lifeboat pause`: nothing new begins until the run is resumed.

use clap::Args;
use lifeboat_core::operator::Command;

use crate::{
    arguments::Global,
    exit::Exit,
    telling::{Case, Of},
};

/// Start nothing new until the run is resumed; running steps end, and time-outs are suspended
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lifeboat pause last --reason \"looking at the copy first\"\n  lifeboat resume last\n\n\
    The clock of the RTO continues."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    of: Of,
    /// The reason, shown in the journal and the report
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) async fn execute(arguments: Arguments, global: &Global) -> anyhow::Result<Exit> {
    Case::open(&arguments.of, global)?.tell(Command::Pause { reason: arguments.reason }).await
}
