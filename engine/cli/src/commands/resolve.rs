//! `lifeboat resolve`: a person did the work of a step.

use clap::Args;
use lifeboat_core::{
    name::StepId,
    operator::Command,
    run::{Awaiting, StepRun, StepState},
};

use crate::{
    arguments::{Global, named_value, step},
    exit::Exit,
    telling::{self, Case, Of},
};

/// Report a step as done by hand, with evidence; the run ends at best with exceptions
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    lifeboat resolve last dns --evidence ticket=OPS-12\n  \
    lifeboat resolve last clean_up --evidence removed=true --reason \"removed the copy by hand\"\n\n\
    Outputs that later steps refer to are required. If the step has a `verify`, it runs before the run continues.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    of: Of,
    /// The step; optional if only one waits for manual work
    #[arg(value_parser = step)]
    step: Option<StepId>,
    /// Evidence that it is done: a ticket, an address, an output of the step
    #[arg(long, value_name = "NAME=VALUE", value_parser = named_value)]
    evidence: Vec<(String, String)>,
    /// The reason, shown in the journal and the report; required if the step did not ask for manual work
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) async fn execute(arguments: Arguments, global: &Global) -> anyhow::Result<Exit> {
    let case = Case::open(&arguments.of, global)?;
    let step = case.step(arguments.step, "waits for manual work", asks)?;
    let evidence = telling::evidence(&case.loaded, &step, &arguments.evidence)?;
    case.tell(Command::Resolve { step, evidence, reason: arguments.reason }).await
}

fn asks(step: &StepRun) -> bool {
    matches!(step.state, StepState::Awaiting(Awaiting::Hands { .. }))
}
