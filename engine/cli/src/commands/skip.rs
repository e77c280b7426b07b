//! `lifeboat skip`: leaves a step out.

use clap::Args;
use lifeboat_core::{name::StepId, operator::Command};

use crate::{
    arguments::{Global, step},
    exit::Exit,
    telling::{Case, Of},
};

/// Skip a step; steps that need it continue, and the run ends at best with exceptions
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    lifeboat skip last announce --reason \"the channel is down, everybody is on the phone\"\n\n\
    A step that waits for others is skipped when its turn comes; a running step cannot be skipped. If the run failed because \
    of the step, it continues in this terminal.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    of: Of,
    /// The step
    #[arg(value_parser = step)]
    step: StepId,
    /// The reason, shown in the journal and the report; required
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

pub(crate) async fn execute(arguments: Arguments, global: &Global) -> anyhow::Result<Exit> {
    let case = Case::open(&arguments.of, global)?;
    case.tell(Command::Skip { step: arguments.step, reason: arguments.reason }).await
}
