//! The command line as a whole: the list of commands.

use clap::{Parser, Subcommand};

use crate::{arguments::Global, commands, exit::Exit};

/// Disaster-recovery runbooks: checked, executed, rehearsed and measured.
#[derive(Debug, Parser)]
#[command(name = "lifeboat", version, propagate_version = true, max_term_width = 110)]
#[command(subcommand_required = true, arg_required_else_help = true, after_help = Exit::table())]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(commands::check::Arguments),
    Plan(commands::plan::Arguments),
    Test(commands::test::Arguments),
    Run(commands::run::Arguments),
    Resume(commands::resume::Arguments),
    Approve(commands::approve::Approve),
    Reject(commands::approve::Reject),
    Skip(commands::skip::Arguments),
    Retry(commands::retry::Arguments),
    Resolve(commands::resolve::Arguments),
    Pause(commands::pause::Arguments),
    Abort(commands::abort::Arguments),
    Status(commands::status::Arguments),
    Runs(commands::runs::Arguments),
    History(commands::history::Arguments),
    Coverage(commands::coverage::Arguments),
    Metrics(commands::metrics::Arguments),
    Copies(commands::copies::Arguments),
    Leases(commands::leases::Arguments),
    Drill(commands::drill::Arguments),
    Report(commands::report::Arguments),
    VerifyJournal(commands::verify_journal::Arguments),
    Plugins(commands::plugins::Arguments),
    Schema(commands::schema::Arguments),
    Explain(commands::explain::Arguments),
    Completions(commands::completions::Arguments),
    #[command(hide = true)]
    Confine(commands::confine::Arguments),
}
