//! `lifeboat approve` and `lifeboat reject`: answers what a run asks.

use clap::Args;
use lifeboat_core::{
    name::StepId,
    operator::Command,
    run::{Awaiting, StepRun, StepState},
};

use crate::{
    arguments::{Global, step},
    exit::Exit,
    telling::{Case, Of},
};

/// Approve what a run asks
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat approve last\n  \
    lifeboat approve dr-003-20261121-7f3a sign_off --comment \"counted by hand, 412 rows\"")]
pub(crate) struct Approve {
    #[command(flatten)]
    answer: Arguments,
}

/// Reject what a run asks
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat reject last --comment \"too many rows\"")]
pub(crate) struct Reject {
    #[command(flatten)]
    answer: Arguments,
}

#[derive(Debug, Args)]
struct Arguments {
    #[command(flatten)]
    of: Of,
    /// The step that asks; optional if only one does
    #[arg(value_parser = step)]
    step: Option<StepId>,
    /// A comment, shown in the journal and the report
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

pub(crate) async fn approve(arguments: Approve, global: &Global) -> anyhow::Result<Exit> {
    answer(arguments.answer, global, |step, comment| Command::Approve { step, comment }).await
}

pub(crate) async fn reject(arguments: Reject, global: &Global) -> anyhow::Result<Exit> {
    answer(arguments.answer, global, |step, comment| Command::Reject { step, comment }).await
}

async fn answer(
    arguments: Arguments,
    global: &Global,
    command: impl FnOnce(StepId, Option<String>) -> Command,
) -> anyhow::Result<Exit> {
    let case = Case::open(&arguments.of, global)?;
    let step = case.step(arguments.step, "waits for an approval", asks)?;
    case.tell(command(step, arguments.comment)).await
}

fn asks(step: &StepRun) -> bool {
    matches!(step.state, StepState::Awaiting(Awaiting::Approval { .. }))
}
