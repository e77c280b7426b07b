//! Which run a person means to change. A name says it. `last` says it where only one run is not over, and is asked about on a
//! terminal: what it stands for changes while one types.

use lifeboat_core::{name::StepId, run::Run};
use lifeboat_present::{elapsed, step::waits_for, words};
use lifeboat_runtime::{
    Error,
    home::{Home, Loaded, Meant},
};

use crate::{
    exit::Exit,
    output::{STRONG, note, styled},
    people::{can_be_asked, confirmed},
    problem::Problem,
};

/// The run that is meant.
///
/// # Errors
/// `run-ambiguous` where `last` stands for one of several runs that are not over, and nobody can be asked.
pub(crate) fn find(home: &Home, text: &str) -> anyhow::Result<Meant> {
    let meant = match home.find_to_change(text) {
        Ok(meant) => meant,
        Err(Error::Unknown { .. }) if text == "last" && home.find("last").is_ok() => {
            let message = "`last` does not stand for a drill here, and there is no other run";
            return Err(Problem::coded("run-unknown", message)
                .hint("name the run; `lifeboat runs` lists all of them")
                .into());
        }
        Err(error) => return Err(error.into()),
    };
    if meant.others.is_empty() || can_be_asked() { Ok(meant) } else { Err(ambiguous(&meant).into()) }
}

fn ambiguous(meant: &Meant) -> Problem {
    let others: Vec<String> = meant.others.iter().map(|run| format!("`{run}`")).collect();
    let message = format!(
        "`last` is ambiguous: it stands for `{}`, but these runs are not over either: {}",
        meant.run,
        others.join(", ")
    );
    Problem::coded("run-ambiguous", message).hint("name the run; `lifeboat runs` shows what each of them waits for")
}

/// Asks whether that is the intended run, if it was not named and somebody can be asked. `about` is shown first in any case.
pub(crate) fn confirm(meant: &Meant, about: &[String], question: &str) -> Result<(), Problem> {
    if !meant.is_last || !can_be_asked() {
        return Ok(());
    }
    about.iter().for_each(note);
    if !meant.others.is_empty() {
        let others: Vec<&str> = meant.others.iter().map(|run| run.as_str()).collect();
        note(format_args!("Other runs that are not over: {}", others.join(", ")));
    }
    if confirmed(question) {
        return Ok(());
    }
    Err(Problem::new(Exit::Refused, "nothing was done: not confirmed").hint("to change another run, name it"))
}

/// The run in a line: its name, what it does, since when.
pub(crate) fn head(loaded: &Loaded) -> Option<String> {
    let (started, facts) = loaded.run.started.as_ref()?;
    let since = elapsed::date_and_time(*started);
    let book = &facts.runbook;
    Some(format!("{}  {} ({}), started {since} UTC", styled(STRONG, &facts.run), book.name, book.id))
}

/// The run, and the steps that something is about with what they ask, in lines.
pub(crate) fn about<'a>(loaded: &Loaded, steps: impl IntoIterator<Item = &'a StepId>) -> Vec<String> {
    let line = |step| Some(format!("  {step}: {}", standing(&loaded.run, step)?));
    head(loaded).into_iter().chain(steps.into_iter().filter_map(line)).collect()
}

/// What a step asks, or how it stands.
fn standing(run: &Run, step: &StepId) -> Option<String> {
    let step = run.find(step)?;
    let failed = || step.state.failure().map(|failure| format!("failed: {}", words::failure(failure)));
    Some(
        waits_for(&step.state)
            .map(|what| format!("waits for {what}"))
            .or_else(failed)
            .unwrap_or_else(|| step.state.word().replace('_', " ")),
    )
}
