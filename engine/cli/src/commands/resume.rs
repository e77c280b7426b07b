//! `lifeboat resume`: goes on with a run after a crash, a stop or a question.

use clap::Args;
use lifeboat_core::{
    bindings,
    diagnostic::{self, SourceFile},
    run::Phase,
};
use lifeboat_runtime::session;

use crate::{
    arguments::Global,
    commands::run::Shown,
    engine,
    execution::{self, Execution},
    exit::Exit,
    output::{WARN, note, styled},
    people::Answers,
    view::outcome_text,
};

/// Go on with a run after a crash, a stop or a question
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat resume last\n  \
    lifeboat resume dr-003-20261121-7f3a --approve sign_off")]
pub(crate) struct Arguments {
    /// A run: its name, the beginning of it, or `last`
    run: String,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    answers: Answers,
}

pub(crate) async fn execute(arguments: Arguments, global: &Global) -> anyhow::Result<Exit> {
    let home = engine::home(global)?;
    let run = home.find(&arguments.run)?;
    let loaded = home.load(&run)?;
    if let Phase::Finished { outcome, .. } = loaded.run.phase {
        note(format_args!("{run} is over: it {}", outcome_text(outcome)));
        return Ok(execution::exit_of(outcome, &loaded.run));
    }
    execution::check_answers(&arguments.answers, &loaded.plan)?;
    if let Some(path) = home.changed_runbook(&run) {
        let changed =
            format!("{} was changed since {run} started; the run keeps to the plan that it began with", path.display());
        note(format_args!("{}: {changed}", styled(WARN, "note")));
    }
    let file = SourceFile {
        name: home.run_folder(&run).join("bindings.yaml").display().to_string(),
        text: String::from_utf8_lossy(&loaded.bindings_source).into_owned(),
    };
    let parsed = bindings::parse(&file);
    let Some(bindings) = parsed.bindings else {
        note(diagnostic::render(&file, &parsed.diagnostics, true));
        return Ok(Exit::File);
    };
    let invoke = engine::host(&home)?.bind(&loaded.plan, bindings)?;
    let execution = Execution::open(loaded.plan, arguments.shown, arguments.answers, invoke);
    let ended = session::resume(&home, &run, execution.surroundings()).await;
    execution.close(ended)
}
