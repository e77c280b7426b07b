//! `lifeboat leases`: which run has which target, and taking a target from a run that is dead.

use clap::{Args, Subcommand};
use lifeboat_core::event::Person;
use lifeboat_present::elapsed;
use lifeboat_runtime::{
    Error,
    home::Home,
    lease::{Claim, LeaseState, ListedLease, Loss},
};

use crate::{
    arguments::Global,
    engine,
    exit::Exit,
    meant,
    output::{BAD, GOOD, QUIET, WARN, hint, json as print_json, note, styled},
    people::current_user,
    problem::Problem,
    table,
};

/// List which run has which target, or take a target over from a dead run
///
/// Two runs never write to the same target: a run keeps the lease of each target that it changes until the run is over, even if
/// its engine is killed.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:\n  lifeboat leases\n  \
    lifeboat leases take-over dr-003-20261121-7f3a --reason \"its machine burnt down; db1 was checked by hand\"")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Also show the free ones
    #[arg(long)]
    all: bool,
    /// Print a JSON list of all leases, with every take-over
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    TakeOver(TakeOver),
}

/// Take over the targets of a run that will never continue
///
/// From then on, nothing that still works for that run can change anything, and the run cannot be resumed. Refused while its engine
/// is alive on this machine. What the run left half done stays as it is: examine the targets before you start another run.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat leases take-over last --reason \"its disk is lost\"\n  \
    lifeboat leases take-over postgres:7423000000000000001 --reason \"its machine burnt down\" --holder-is-dead")]
struct TakeOver {
    /// A run (its name, the beginning of it, or `last`) for all its targets, or one target as listed by `lifeboat leases`
    #[arg(value_name = "RUN|TARGET")]
    name: String,
    /// The reason; kept with the lease, and shown to anyone who tries to resume the run
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Confirm that the engine is dead: required if it was on another machine, where this command cannot check
    #[arg(long)]
    holder_is_dead: bool,
}

pub(crate) fn execute(arguments: Arguments, global: &Global) -> anyhow::Result<Exit> {
    match arguments.command {
        Some(Command::TakeOver(order)) => take_over(&engine::home_to_read(global)?, order),
        None => list(&engine::home_to_read(global)?, &arguments),
    }
}

fn list(home: &Home, arguments: &Arguments) -> anyhow::Result<Exit> {
    let mut leases = home.leases()?;
    if arguments.json {
        print_json(&leases)?;
        return Ok(Exit::Done);
    }
    if !arguments.all {
        leases.retain(|lease| lease.state != LeaseState::Free);
    }
    if leases.is_empty() {
        hint("no run has a target");
        return Ok(Exit::Done);
    }
    let heading = ["TARGET", "RUN", "TOKEN", "STATE"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(heading).chain(leases.iter().map(row)).collect();
    table::show(&rows);
    Ok(Exit::Done)
}

fn row(lease: &ListedLease) -> Vec<String> {
    let run = lease.state.holder().map(|holder| holder.run.to_string()).unwrap_or_default();
    vec![lease.resource.clone(), run, lease.token.to_string(), state(lease)]
}

fn state(lease: &ListedLease) -> String {
    match (&lease.state, lease.taken_over.last()) {
        (LeaseState::Live(holder), _) => styled(GOOD, format_args!("live ({holder})")),
        (LeaseState::Unfinished(holder), _) => styled(WARN, format_args!("not over, engine dead ({holder})")),
        (LeaseState::Elsewhere(holder), _) => styled(BAD, format_args!("not over, on another machine ({holder})")),
        (LeaseState::Free, None) => styled(QUIET, "free"),
        (LeaseState::Free, Some(loss)) => styled(QUIET, format_args!("free; {}", taken(loss))),
    }
}

fn take_over(home: &Home, order: TakeOver) -> anyhow::Result<Exit> {
    if order.reason.trim().is_empty() {
        return Err(Problem::usage("a take-over needs a reason").into());
    }
    let claim = Claim { user: user(), reason: order.reason, holder_is_dead: order.holder_is_dead };
    let name = if order.name == "last" { last(home)? } else { order.name };
    let losses = home.take_over(&name, &claim).map_err(|error| advise(error, &name))?;
    for loss in &losses {
        note(format_args!("{} `{}` was {}", styled(GOOD, "free"), loss.resource, taken(loss)));
    }
    say_left(home, &losses)?;
    Ok(Exit::Done)
}

/// The run that `last` stands for, confirmed if somebody can be asked.
fn last(home: &Home) -> anyhow::Result<String> {
    let meant = meant::find(home, "last")?;
    let has = |lease: &ListedLease| lease.state.holder().is_some_and(|holder| holder.run == meant.run);
    let leases = home.leases()?.into_iter().filter(has).map(|lease| format!("  has `{}`", lease.resource));
    let head = home.load(&meant.run).ok().and_then(|loaded| meant::head(&loaded));
    let about: Vec<String> = head.into_iter().chain(leases).collect();
    meant::confirm(&meant, &about, "Take over its targets, so that it can never continue?")?;
    Ok(meant.run.to_string())
}

fn taken(loss: &Loss) -> String {
    let at = elapsed::date_and_time(loss.at);
    let from = &loss.take_over;
    format!("taken over from {} by {} on {} at {at} UTC: {}", from.from.run, from.user, from.host, from.reason)
}

/// A run that lost one target cannot continue, but keeps its other targets.
fn say_left(home: &Home, losses: &[Loss]) -> anyhow::Result<()> {
    let Some(run) = losses.first().map(|loss| &loss.take_over.from.run) else { return Ok(()) };
    let leases = home.leases()?;
    let kept = leases.iter().filter(|lease| lease.state.holder().is_some_and(|holder| holder.run == *run));
    for lease in kept {
        hint(format_args!("{run} cannot continue, but still has `{}`", lease.resource));
    }
    Ok(())
}

fn advise(error: Error, name: &str) -> anyhow::Error {
    let problem = |hint: String| Problem::coded(error.code(), error.to_string()).hint(hint);
    match &error {
        Error::LeaseHeld { holder, .. } => {
            problem(format!("its engine is alive; end it (`kill {}`), or wait for it", holder.pid)).into()
        }
        Error::LeaseElsewhere { holder, .. } => problem(format!(
            "check on {} that it is dead, then run `lifeboat leases take-over {name} --holder-is-dead --reason …`",
            holder.host
        ))
        .into(),
        Error::LeaseFree { .. } => problem("`lifeboat leases` lists what can be taken over".to_owned()).into(),
        _ => error.into(),
    }
}

fn user() -> String {
    match current_user() {
        Person::User { name } | Person::Policy { name } => name,
        Person::Engine => "unknown".to_owned(),
    }
}
