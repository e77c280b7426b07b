//! `lifeboat resume`: continues a run after a crash, a stop, a pause or a question.

use clap::Args;
use lifeboat_core::{operator::Command, run::Phase};
use lifeboat_present::words;
use lifeboat_runtime::{home::ChangedFile, session};

use crate::{
    arguments::Global,
    engine,
    execution::{self, Execution, Shown},
    exit::Exit,
    meant,
    output::{WARN, note, styled},
    people::Answers,
    problem::Problem,
    telling,
};

/// Continue a run after a crash, a stop, a pause or a question
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
    let meant = meant::find(&engine::home_to_read(global)?, &arguments.run)?;
    let home = engine::home(global)?;
    let run = meant.run.clone();
    let loaded = home.load(&run)?;
    if let Phase::Finished { outcome, .. } = loaded.run.phase {
        note(format_args!("{run} is over: it {}", words::outcome(outcome)));
        return Ok(execution::exit_of(outcome, &loaded.run));
    }
    execution::check_answers(&arguments.answers, &loaded.plan)?;
    if !meant.others.is_empty() || !arguments.answers.are_none() {
        meant::confirm(&meant, &meant::about(&loaded, arguments.answers.steps()), "Continue this run?")?;
    }
    for ChangedFile { path, is_gone } in home.changed_files(&run) {
        let what = if is_gone { "no longer exists" } else { "was changed since the run started" };
        let kept = "the run keeps the plan that it began with";
        note(format_args!("{}: {} {what}; {kept}", styled(WARN, "note"), path.display()));
    }
    if let Some(onset) = arguments.shown.onset.filter(|onset| loaded.run.onset != Some(*onset)) {
        let command = Command::Onset { onset };
        let of = telling::Of { run: run.to_string(), json: false };
        match telling::Case::open(&of, global)?.tell(command).await? {
            Exit::Done => {}
            other => return Ok(other),
        }
    }
    let loaded = home.load(&run)?;
    if loaded.run.pause.is_some() && home.holder(&run)?.is_some() {
        // An engine works on it and waits for just this: answers go to that engine.
        if !arguments.answers.are_none() {
            let message = "another process works on the run and cannot receive the answers of this command";
            let hint = format!(
                "unpause it with `lifeboat resume {run}`; answer it with `lifeboat approve`, `reject` or `resolve`"
            );
            return Err(Problem::usage(message).hint(hint).into());
        }
        let of = telling::Of { run: run.to_string(), json: arguments.shown.json };
        return telling::Case::open(&of, global)?.tell(Command::Unpause { reason: None }).await;
    }
    let Some(invoke) = engine::invoke_of(&home, &run, &loaded)? else { return Ok(Exit::File) };
    let of = (run.clone(), loaded.roles());
    let execution = Execution::open(&home, loaded.plan, of, arguments.shown, arguments.answers, invoke);
    let ended = session::resume(&home, &run, execution.surroundings()).await;
    execution.close(&home, ended)
}
