//! `lifeboat copies`: the copies that runs have restored and left, and removing one.

mod bound;
mod look;

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use lifeboat_core::{action::Catalogue, diagnostic::SourceFile, event::Mode};
use lifeboat_launch::{
    Order, Ready, Runbook,
    removal::{self, OF_RUN, OF_STEP},
    source,
};
use lifeboat_present::elapsed;
use lifeboat_runtime::{
    Error,
    home::Home,
    lock::RunLock,
    session::{self, NewRun},
};
use serde_json::json;

use self::{
    bound::bound,
    look::{look, seen, strays},
};
use crate::{
    arguments::Global,
    copies::{self, Copy, Held, Owner},
    engine,
    execution::{Execution, Shown},
    exit::Exit,
    findings::print_wrong,
    machines::Looked,
    output::{BAD, GOOD, QUIET, WARN, hint, json as print_json, note, styled},
    people::{Answers, can_be_asked, confirmed, current_user},
    problem::Problem,
    table,
};

/// List the copies that runs restored and left behind, or remove one
///
/// A copy keeps its port and its disk space until it is removed. A run that ended without a copy may have left the files that it
/// needs to continue; they are listed too. The list follows the journals of this state folder: a copy that somebody removed
/// by hand is still in it.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Examples:\n  lifeboat copies\n  lifeboat copies --look\n  lifeboat copies remove lb-1f2e3d4c5b\n  \
    lifeboat copies --json | jq '.copies[] | select(.owner != \"live\")'"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Also look at the machines that the bindings of the runs name: shows state and size, and copies that are in no journal
    #[arg(long)]
    look: bool,
    /// Look at the machines of this bindings file
    #[arg(long, short, value_name = "FILE")]
    bindings: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Remove(Remove),
}

/// Stop a copy and remove its folder
///
/// Shows the copy and asks first. Refused if the run that made it is not over: `lifeboat resume` continues that run,
/// `lifeboat abort --undo` ends it and removes its copies. The removal is a run of its own, so a journal records who removed what.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat copies remove lb-1f2e3d4c5b\n  \
    lifeboat copies remove dr-003-20261121-7f3a/restore --bindings production.yaml --yes")]
struct Remove {
    /// A copy as listed by `lifeboat copies`: its name, or RUN/STEP
    copy: String,
    /// Bindings that name its machine, if it is reached differently now [default: the bindings of that run]
    #[arg(long, short, value_name = "FILE")]
    bindings: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print one JSON document about the removal
    #[arg(long)]
    json: bool,
}

pub(crate) async fn execute(arguments: Arguments, global: &Global) -> anyhow::Result<Exit> {
    match arguments.command {
        Some(Command::Remove(order)) => remove(order, global).await,
        None => list(&arguments, global).await,
    }
}

async fn list(arguments: &Arguments, global: &Global) -> anyhow::Result<Exit> {
    let home = engine::home_to_read(global)?;
    let held = copies::all(&home)?;
    let looked = look(arguments, &home, &held, global).await?;
    let now = Timestamp::now();
    let strays = strays(&held, &looked);
    if arguments.json {
        let copies: Vec<_> = held.iter().map(|held| document(held, &looked, now)).collect();
        let strays: Vec<_> = strays.iter().map(|(_, instance)| instance).collect();
        print_json(&json!({ "format": "lifeboat.copies/1", "copies": copies, "strays": strays }))?;
        return Ok(Exit::Done);
    }
    for (role, stray) in &strays {
        let size = size(stray.size_bytes);
        let whose = stray.run.as_deref().unwrap_or("an unknown run");
        note(format_args!(
            "{} on `{role}`, {size}, {}: made by {whose}, which is not in this state folder",
            stray.name, stray.state
        ));
    }
    if held.is_empty() {
        hint("no run has left a copy");
        return Ok(Exit::Done);
    }
    let heading = ["COPY", "RUN", "STEP", "MACHINE", "PORT", "SIZE", "AGE", "STATE"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(heading).chain(held.iter().map(|held| row(held, &looked, now))).collect();
    table::show(&rows);
    held.iter().map(free).for_each(hint);
    Ok(Exit::Done)
}

fn size(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn document(held: &Held, looked: &[Looked], now: Timestamp) -> serde_json::Value {
    let copy = &held.copy;
    let seen = seen(copy, looked);
    json!({
        "copy": copy.copy, "run": copy.run, "step": copy.step, "machine": copy.machine, "port": copy.port,
        "since": copy.since, "age_s": now.duration_since(copy.since).as_secs(), "whole": copy.copy.is_some(),
        "only_files": copy.only_files,
        "owner": held.by, "free": held.free(), "seen": seen.map(|instance| &instance.state),
        "size_bytes": seen.map(|instance| instance.size_bytes),
    })
}

fn row(held: &Held, looked: &[Looked], now: Timestamp) -> Vec<String> {
    let copy = &held.copy;
    let seen = seen(copy, looked);
    let there = match seen {
        Some(instance) => format!("{}; ", instance.state),
        None if !copy.only_files && looked.iter().any(|machine| machine.role.as_str() == copy.machine) => {
            styled(WARN, "not on the machine; ")
        }
        None => String::new(),
    };
    let size = seen.map(|instance| size(instance.size_bytes)).unwrap_or_default();
    let port = copy.port.map(|port| port.to_string()).unwrap_or_default();
    let state = match held.by {
        Owner::Live => styled(GOOD, "the run is live"),
        Owner::NotOver => styled(WARN, "the run is not over, and no engine works on it"),
        Owner::Failed => styled(WARN, "left by a run that failed"),
        Owner::Over => styled(QUIET, "left by a run that is over"),
    };
    let half = match (&copy.copy, copy.only_files) {
        (_, true) => "only files of the run; ".to_owned(),
        (None, _) => styled(BAD, "incomplete; "),
        (Some(_), _) => String::new(),
    };
    let age = elapsed::between(copy.since, now);
    let (run, step) = (copy.run.to_string(), copy.step.to_string());
    vec![copy.name(), run, step, copy.machine.clone(), port, size, age, format!("{half}{there}{state}")]
}

fn free(held: &Held) -> String {
    let how = held.free();
    match held.by {
        Owner::Live => format!("{} is removed when its run ends; `{how}` ends the run now", held.copy.name()),
        _ => format!("`{how}` removes {}", held.copy.name()),
    }
}

async fn remove(order: Remove, global: &Global) -> anyhow::Result<Exit> {
    let home = engine::home_to_read(global)?;
    let held = find(&home, &order.copy)?;
    let copy = &held.copy;
    // No engine continues the run while its copy is removed.
    let _lock = RunLock::take(&home.run_folder(&copy.run), &copy.run).map_err(|error| in_use(error, &held))?;
    if matches!(held.by, Owner::Live | Owner::NotOver) {
        return Err(not_over(&held).into());
    }
    let host = engine::host(&Home::open(home.path())?)?;
    let runbook = runbook(&held, &host.catalogue())?;
    let bound = bound(&home, copy, order.bindings.as_ref(), &runbook.plan)?;
    confirm(&held, order.yes)?;
    let given = BTreeMap::from([(OF_RUN, copy.run.to_string()), (OF_STEP, copy.step.to_string())]);
    let given = given.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let ready =
        Ready::new(runbook, bound, &given).map_err(|_| anyhow::anyhow!("a removal accepts these inputs: {given:?}"))?;
    let invoke = removal::on_behalf(ready.invoke(&host)?, &copy.run, &copy.step);
    let plan = ready.plan.clone();
    let run = home.new_run_id(&plan, Timestamp::now())?;
    let new = ready.into_run(Order { run, mode: Mode::Real, who: current_user(), onset: None });
    // It touches nothing but the folder of the copy, and the copy belongs to a run that is over.
    let new = NewRun { leases: Vec::new(), ..new };
    let shown = Shown { onset: None, json: order.json };
    let execution = Execution::open(&home, plan, (new.run.clone(), BTreeMap::new()), shown, Answers::default(), invoke);
    let ended = session::start(&home, new, execution.surroundings()).await;
    execution.close(&home, ended)
}

/// The copy that a person names.
fn find(home: &Home, name: &str) -> anyhow::Result<Held> {
    let mut held = copies::all(home)?;
    held.retain(|held| held.copy.name() == name || format!("{}/{}", held.copy.run, held.copy.step) == name);
    let none = || Problem::coded("copy-unknown", format!("no run has left a copy `{name}`"));
    Ok(held.pop().ok_or_else(|| none().hint("`lifeboat copies` lists them"))?)
}

fn in_use(error: Error, held: &Held) -> anyhow::Error {
    match error {
        Error::Locked { .. } => not_over(&Held { by: Owner::Live, ..held.clone() }).into(),
        other => other.into(),
    }
}

fn not_over(held: &Held) -> Problem {
    let Copy { run, .. } = &held.copy;
    let works = if held.by == Owner::Live { "an engine works on it" } else { "it is not over" };
    Problem::coded("copy-in-use", format!("{} belongs to the run {run}: {works}", held.copy.name()))
        .hint(format!("`{}` ends the run and removes what it made; `lifeboat resume {run}` continues it", held.free()))
}

fn confirm(held: &Held, yes: bool) -> Result<(), Problem> {
    let copy = &held.copy;
    let port = copy.port.map(|port| format!(", port {port}")).unwrap_or_default();
    let since = elapsed::date_and_time(copy.since);
    let made = if copy.only_files { "files written" } else { "restored" };
    note(format_args!(
        "{} on `{}`{port}: {made} by {} of {} since {since} UTC",
        copy.name(),
        copy.machine,
        copy.step,
        copy.run
    ));
    if held.by == Owner::Failed && copy.only_files {
        note(format_args!("{} failed but can continue; without its files it must start from the beginning", copy.run));
    } else if held.by == Owner::Failed {
        note(format_args!("{} failed but can continue; without the copy it must repeat `restore`", copy.run));
    }
    if yes {
        return Ok(());
    }
    if !can_be_asked() {
        return Err(Problem::usage("cannot ask for confirmation: this is not a terminal").hint("confirm with `--yes`"));
    }
    if confirmed(if copy.only_files { "Remove these files?" } else { "Stop this copy and remove its folder?" }) {
        return Ok(());
    }
    Err(Problem::new(Exit::Refused, "nothing was removed: not confirmed"))
}

/// One step that removes the copy of a step of another run. With the last one go the files of a run that is over; one that failed
/// needs them to continue, which a person may still want.
fn runbook_text(held: &Held) -> String {
    let copy = &held.copy;
    let (machine, name, files) = (&copy.machine, copy.name(), copy.only_files || held.by == Owner::Over);
    format!(
        "lifeboat: 1\nid: {}\nname: Remove the copy {name}\n\
         inputs: {{ {OF_RUN}: {{ type: string }}, {OF_STEP}: {{ type: string }} }}\n\
         targets: {{ {machine}: {{ kind: machine, access: destroy }} }}\n\
         steps:\n  - id: remove\n    uses: pg/destroy-instance\n    with: {{ machine: {machine}, files: {files} }}\n    timeout: 10m\n    \
         retry: {{ attempts: 3, backoff: 5s, on: [transient] }}\n",
        removal::RUNBOOK
    )
}

fn runbook(held: &Held, catalogue: &Catalogue) -> anyhow::Result<Runbook> {
    let file = SourceFile { name: "the removal of a copy".to_owned(), text: runbook_text(held) };
    Runbook::of(source::check_runbook(file, catalogue)).map_err(|wrong| {
        print_wrong(&wrong);
        anyhow::anyhow!("the removal of a copy on `{}` cannot be planned", held.copy.machine)
    })
}
