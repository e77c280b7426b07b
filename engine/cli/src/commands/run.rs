//! `lifeboat run`: executes a runbook on real systems.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use jiff::Timestamp;
use lifeboat_core::{action::Catalogue, diagnostic, event::Mode};
use lifeboat_launch::{Order, Prepared, Ready, source};
use lifeboat_runtime::session;

use crate::{
    arguments::{Global, VariantArgument, named_value},
    engine,
    execution::{self, Execution, Shown},
    exit::Exit,
    findings::print,
    output::note,
    people::{Answers, current_user},
    problem::Problem,
    stepwise,
};

/// Execute a runbook on the systems that a bindings file names
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    lifeboat run dr-003.yaml --bindings production.yaml --input damaged_table=orders --dry-run\n  \
    lifeboat run dr-003.yaml --bindings production.yaml --input damaged_table=orders --onset 2026-11-21T12:03:00Z")]
pub(crate) struct Arguments {
    /// A runbook
    file: PathBuf,
    /// The bindings file: the real system for each role
    #[arg(long, short, value_name = "FILE")]
    bindings: PathBuf,
    /// An input of the runbook; can be given several times
    #[arg(long = "input", short, value_name = "NAME=VALUE", value_parser = named_value)]
    inputs: Vec<(String, String)>,
    /// Change nothing: the sandbox allows `read` only. Steps that would change something or ask somebody are shown with their
    /// parameters, and steps that depend on them as far as possible. Exits with 0 if nothing that could be tried failed, with 4 if
    /// only steps after a skipped one failed. Neither means that a real run would succeed
    #[arg(long)]
    dry_run: bool,
    /// The variant to run, if the runbook has steps for a planned switch and others for a disaster
    #[arg(long, value_enum)]
    variant: Option<VariantArgument>,
    /// Ask before each step
    #[arg(long)]
    step: bool,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    answers: Answers,
}

pub(crate) async fn execute(arguments: Arguments, global: &Global) -> anyhow::Result<Exit> {
    check_onset(arguments.shown.onset, Timestamp::now())?;
    let home = engine::home(global)?;
    let host = engine::host(&home)?;
    let ready = match prepare(&arguments, &host.catalogue())? {
        Ok(ready) => ready,
        Err(exit) => return Ok(exit),
    };
    let plan = if arguments.step { stepwise::asking_before_each_step(ready.plan) } else { ready.plan };
    let ready = Ready { plan, ..ready };
    execution::check_answers(&arguments.answers, &ready.plan)?;
    let invoke = engine::invoke(&home, &host, &ready)?;
    let plan = ready.plan.clone();
    let new = ready.into_run(Order {
        run: home.new_run_id(&plan, Timestamp::now())?,
        mode: if arguments.dry_run { Mode::DryRun } else { Mode::Real },
        who: current_user(),
        onset: arguments.shown.onset,
    });
    let of = (new.run.clone(), new.people.clone());
    let execution = Execution::open(&home, plan, of, arguments.shown.clone(), arguments.answers, invoke);
    let ended = session::start(&home, new, execution.surroundings()).await;
    execution.close(&home, ended)
}

fn check_onset(onset: Option<Timestamp>, now: Timestamp) -> Result<(), Problem> {
    match onset.filter(|onset| *onset > now) {
        None => Ok(()),
        Some(onset) => {
            let message = format!("the onset {onset} is in the future: the time is {now:.0}");
            Err(Problem::coded("operator-onset", message))
        }
    }
}

/// Checks both files and the inputs, and shows everything that is wrong at once.
fn prepare(arguments: &Arguments, catalogue: &Catalogue) -> Result<Result<Ready, Exit>, Problem> {
    let runbook = engine::runbook(&arguments.file, catalogue)?.of_variant(arguments.variant.map(Into::into))?;
    let bindings = source::bindings(&arguments.bindings)?;
    let prepared = Prepared::new(runbook, bindings, &given_inputs(arguments)?);
    print(&prepared.runbook);
    print(&prepared.bindings);
    if let Some(Err(found)) = &prepared.inputs {
        note(diagnostic::render(&prepared.runbook.file, found, true));
        return Ok(Err(if prepared.is_wrong() { Exit::File } else { Exit::Usage }));
    }
    Ok(prepared.ready().map_err(|_shown| Exit::File))
}

/// The inputs as they were written.
fn given_inputs(arguments: &Arguments) -> Result<BTreeMap<String, String>, Problem> {
    let mut given = BTreeMap::new();
    for (name, value) in &arguments.inputs {
        if given.insert(name.clone(), value.clone()).is_some() {
            return Err(Problem::usage(format!("the input `{name}` is given more than once")));
        }
    }
    Ok(given)
}
