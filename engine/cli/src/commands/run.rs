//! `lifeboat run`: executes a runbook on real systems.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use jiff::Timestamp;
use lifeboat_core::{
    action::Catalogue,
    bindings::{self, Bindings},
    diagnostic::{self, Severity, SourceFile},
    event::Mode,
    inputs,
    plan::Plan,
};
use lifeboat_runtime::session::{self, NewRun};
use serde_json::Value;

use crate::{
    arguments::{Global, named_value},
    engine,
    execution::{self, Execution},
    exit::Exit,
    output::note,
    people::{Answers, current_user},
    problem::Problem,
    source::{self, Checked, Content, VariantArgument},
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
    /// Which real system plays each role
    #[arg(long, short, value_name = "FILE")]
    bindings: PathBuf,
    /// An input of the runbook; give it once for each
    #[arg(long = "input", short, value_name = "NAME=VALUE", value_parser = named_value)]
    inputs: Vec<(String, String)>,
    /// Change nothing: the sandbox allows `read` only. Steps that would change something or ask somebody are shown with what
    /// they would be given, and those that depend on them as far as they are known. Ends with 0 where nothing failed that could be
    /// tried, with 4 where only a step failed that comes behind one that was left out. Neither means that a real run would
    /// succeed
    #[arg(long)]
    dry_run: bool,
    /// Which steps are done, where the runbook has some for a planned switch and others for a disaster
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

/// How a run is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct Shown {
    /// When users first noticed: the RTO budget counts from here, not from the start of the run. The journal keeps it
    #[arg(long, value_name = "TIMESTAMP")]
    pub(crate) onset: Option<Timestamp>,
    /// Print one JSON document about the run when it ends
    #[arg(long)]
    pub(crate) json: bool,
}

/// Everything that was checked before anything is started.
struct Ready {
    plan: Plan,
    bindings: Bindings,
    inputs: Value,
    runbook_source: Vec<u8>,
    called_sources: Vec<SourceFile>,
    bindings_source: Vec<u8>,
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
    execution::check_answers(&arguments.answers, &plan)?;
    let invoke = host.bind(&plan, ready.bindings.clone())?;
    let now = Timestamp::now();
    let new = NewRun {
        run: home.new_run_id(&plan, now)?,
        runbook_path: std::path::absolute(&arguments.file).ok(),
        runbook_source: ready.runbook_source,
        called_sources: ready.called_sources,
        bindings_source: ready.bindings_source,
        inputs: ready.inputs,
        targets: ready.bindings.facts(),
        leases: bindings::leases(&plan, &ready.bindings),
        mode: if arguments.dry_run { Mode::DryRun } else { Mode::Real },
        who: current_user(),
        people: ready.bindings.people.clone(),
        onset: arguments.shown.onset,
        plan: plan.clone(),
    };
    let of = (new.run.clone(), new.people.clone());
    let execution = Execution::open(&home, plan, of, arguments.shown.clone(), arguments.answers, invoke);
    let ended = session::start(&home, new, execution.surroundings()).await;
    execution.close(&home, ended)
}

fn check_onset(onset: Option<Timestamp>, now: Timestamp) -> Result<(), Problem> {
    match onset.filter(|onset| *onset > now) {
        None => Ok(()),
        Some(onset) => {
            let message = format!("users cannot have noticed at {onset}: it is {now:.0} now");
            Err(Problem::coded("operator-onset", message))
        }
    }
}

/// Checks both files and the inputs, and shows everything that is wrong at once.
fn prepare(arguments: &Arguments, catalogue: &Catalogue) -> Result<Result<Ready, Exit>, Problem> {
    let runbook = source::runbook(&arguments.file, catalogue)?.of_variant(arguments.variant)?;
    if let Content::Plan(plan) = &runbook.content {
        source::executable(plan)?;
    }
    let mut bound = source::bindings(&arguments.bindings)?;
    if let (Content::Plan(plan), Content::Bindings(bindings)) = (&runbook.content, &bound.content) {
        bound.diagnostics.extend(bindings::check(plan, bindings));
    }
    let inputs = given_inputs(arguments, &runbook)?;
    runbook.print();
    bound.print();
    let wrong = runbook.count(Severity::Error) + bound.count(Severity::Error) > 0;
    let inputs = match inputs {
        Some(Err(shown)) => {
            note(shown);
            return Ok(Err(if wrong { Exit::File } else { Exit::Usage }));
        }
        Some(Ok(inputs)) if !wrong => inputs,
        _ => return Ok(Err(Exit::File)),
    };
    let bindings_source = bound.file.text.into_bytes();
    let Content::Bindings(bindings) = bound.content else { return Ok(Err(Exit::File)) };
    let runbook_source = runbook.file.text.clone().into_bytes();
    let called_sources = runbook.called.iter().map(|called| called.file.clone()).collect();
    let Some(plan) = runbook.plan() else { return Ok(Err(Exit::File)) };
    Ok(Ok(Ready { plan, bindings: *bindings, inputs, runbook_source, called_sources, bindings_source }))
}

/// The inputs, or what is wrong with them as text; `None` where the runbook does not say what they are.
fn given_inputs(arguments: &Arguments, runbook: &Checked) -> Result<Option<Result<Value, String>>, Problem> {
    let mut texts = BTreeMap::new();
    for (name, value) in &arguments.inputs {
        if texts.insert(name.clone(), value.clone()).is_some() {
            return Err(Problem::usage(format!("the input `{name}` is given twice")));
        }
    }
    let Content::Plan(plan) = &runbook.content else { return Ok(None) };
    let resolved = inputs::resolve(plan, &texts);
    Ok(Some(resolved.map_err(|found| diagnostic::render(&runbook.file, &found, true))))
}
