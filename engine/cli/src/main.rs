//! The binary: arguments, rendering, prompts and exit codes. Only this crate prints and exits.

mod arguments;
mod command_line;
mod commands;
mod copies;
mod defect;
mod engine;
mod execution;
mod exit;
mod findings;
mod logging;
mod machines;
mod meant;
mod output;
mod pages;
mod people;
mod problem;
mod recorded;
mod signals;
mod stepwise;
mod table;
mod telling;
mod view;
mod wrap;

use std::{panic::PanicHookInfo, process::ExitCode};

use clap::{CommandFactory, Parser};

use crate::{
    arguments::Global,
    command_line::{Command, CommandLine},
    defect::Watch,
    exit::Exit,
    problem::Problem,
};

fn main() -> ExitCode {
    let watch = Watch::install(tell);
    watch.exit_after(obey).into()
}

/// Does what the command line says.
fn obey() -> Exit {
    if std::env::args_os().len() <= 1 {
        // Without arguments the help is shown, even if the environment sets an option.
        output::note_as_is(CommandLine::command().render_help().ansi());
        return Exit::Usage;
    }
    let line = CommandLine::parse();
    line.global.color.apply();
    if let Command::Confine(arguments) = line.command {
        // Before there is any other thread: what it gives up, it gives up for this one.
        return commands::confine::execute(arguments);
    }
    if let Err(problem) = begin_to_log(&line.command) {
        problem.print();
        return problem.exit;
    }
    if let Ok(program) = std::env::current_exe() {
        lifeboat_host::confine::set_launcher(program);
    }
    let ended = tokio::runtime::Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(dispatch(line.command, &line.global)));
    ended.unwrap_or_else(|error| {
        let problem = Problem::from(error);
        problem.print();
        problem.exit
    })
}

/// What is printed from inside the binary has nothing to log: the page about a wrong filter can be read in spite of it.
fn begin_to_log(command: &Command) -> Result<(), Problem> {
    match command {
        Command::Explain(_) | Command::Schema(_) | Command::Completions(_) => Ok(()),
        _ => logging::install(),
    }
}

/// Shows a panic; what it means is said once.
fn tell(panic: &PanicHookInfo<'_>, first: bool) {
    output::note(panic);
    if first {
        Problem::new(Exit::Bug, "this is a bug in Lifeboat, not in your runbook")
            .hint("nothing is lost; run `lifeboat resume last` to continue the run where its journal ends")
            .hint(concat!("please report it, with the lines above and `lifeboat ", env!("CARGO_PKG_VERSION"), "`"))
            .print();
    }
}

async fn dispatch(command: Command, global: &Global) -> anyhow::Result<Exit> {
    match command {
        Command::Check(arguments) => commands::check::execute(&arguments, global),
        Command::Plan(arguments) => commands::plan::execute(&arguments, global),
        Command::Test(arguments) => commands::test::execute(&arguments, global),
        Command::Run(arguments) => commands::run::execute(arguments, global).await,
        Command::Resume(arguments) => commands::resume::execute(arguments, global).await,
        Command::Approve(arguments) => commands::approve::approve(arguments, global).await,
        Command::Reject(arguments) => commands::approve::reject(arguments, global).await,
        Command::Skip(arguments) => commands::skip::execute(arguments, global).await,
        Command::Retry(arguments) => commands::retry::execute(arguments, global).await,
        Command::Resolve(arguments) => commands::resolve::execute(arguments, global).await,
        Command::Pause(arguments) => commands::pause::execute(arguments, global).await,
        Command::Abort(arguments) => commands::abort::execute(arguments, global).await,
        Command::Status(arguments) => commands::status::execute(&arguments, global),
        Command::Runs(arguments) => commands::runs::execute(&arguments, global),
        Command::Coverage(arguments) => commands::coverage::execute(&arguments, global),
        Command::Metrics(arguments) => commands::metrics::execute(&arguments, global),
        Command::Copies(arguments) => commands::copies::execute(arguments, global).await,
        Command::History(arguments) => commands::history::execute(&arguments, global),
        Command::Leases(arguments) => commands::leases::execute(arguments, global),
        Command::Drill(arguments) => commands::drill::execute(arguments, global).await,
        Command::Report(arguments) => commands::report::execute(&arguments, global),
        Command::VerifyJournal(arguments) => commands::verify_journal::execute(&arguments, global),
        Command::Plugins(arguments) => commands::plugins::execute(&arguments, global),
        Command::Schema(arguments) => commands::schema::execute(&arguments),
        Command::Explain(arguments) => commands::explain::execute(&arguments),
        Command::Completions(arguments) => Ok(commands::completions::execute(&arguments, CommandLine::command())),
        // Obeyed before there is a runtime.
        Command::Confine(arguments) => Ok(commands::confine::execute(arguments)),
    }
}
