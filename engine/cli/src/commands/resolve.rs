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

/// Report a step as done by hand, with what shows it; the run ends at best with exceptions
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    lifeboat resolve last dns --evidence ticket=OPS-12\n  \
    lifeboat resolve last clean_up --evidence removed=true --reason \"removed the copy by hand\"\n\n\
    Outputs that later steps refer to must be handed in. Where the step has a `verify`, it runs before the run goes on.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    of: Of,
    /// The step; may be left out where only one waits for work by hand
    #[arg(value_parser = step)]
    step: Option<StepId>,
    /// What shows that it is done: a ticket, an address, an output of the step
    #[arg(long, value_name = "NAME=VALUE", value_parser = named_value)]
    evidence: Vec<(String, String)>,
    /// Why, for the journal and the report; needed where the step did not ask for work by hand
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) async fn execute(arguments: Arguments, global: &Global) -> anyhow::Result<Exit> {
    let case = Case::open(&arguments.of, global)?;
    let step = case.step(arguments.step, "waits for work by hand", asks)?;
    let evidence = telling::evidence(&case.loaded, &step, &arguments.evidence)?;
    case.tell(Command::Resolve { step, evidence, reason: arguments.reason }).await
}

fn asks(step: &StepRun) -> bool {
    matches!(step.state, StepState::Awaiting(Awaiting::Hands { .. }))
}
