//! `lifeboat pause`: nothing new begins until the run is resumed.

use clap::Args;
use lifeboat_core::operator::Command;

use crate::{
    arguments::Global,
    exit::Exit,
    telling::{Case, Of},
};

/// Let nothing new begin until the run is resumed; what runs ends, and no step's time counts
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lifeboat pause last --reason \"looking at the copy first\"\n  lifeboat resume last\n\n\
    The clock of the RTO goes on."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    of: Of,
    /// Why, for the journal and the report
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) async fn execute(arguments: Arguments, global: &Global) -> anyhow::Result<Exit> {
    Case::open(&arguments.of, global)?.tell(Command::Pause { reason: arguments.reason }).await
}
