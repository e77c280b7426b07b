//! What `run` and `resume` share: the view, the people, the signals around a session, and what its end means.

use std::{collections::BTreeMap, sync::Arc};

use clap::Args;
use jiff::Timestamp;
use lifeboat_core::{
    event::{Outcome, SkipReason},
    failure::{Failure, FailureKind},
    name::{RunId, StepId},
    plan::Plan,
    run::{Awaiting, Run, StepState},
};
use lifeboat_present::{dry_run, step::waits_for, words};
use lifeboat_runtime::{
    Error,
    home::Home,
    invoke::Invoke,
    report::{Report, Reporter},
    session::{Ended, How, Surroundings},
};
use tokio_util::sync::CancellationToken;

use crate::{
    copies,
    exit::Exit,
    logging,
    output::{WARN, hint, json, note, styled},
    people::{self, Answers, Responder},
    problem::Problem,
    recorded, signals, table,
    view::{self, View},
};

/// How a run is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct Shown {
    /// When users first noticed: the RTO budget counts from this time instead of the start of the run; recorded in the journal
    #[arg(long, value_name = "TIMESTAMP")]
    pub(crate) onset: Option<Timestamp>,
    /// Print one JSON document about the run when it ends
    #[arg(long)]
    pub(crate) json: bool,
}

/// A session with everything around it.
pub(crate) struct Execution {
    plan: Plan,
    shown: Shown,
    view: Arc<dyn View>,
    people: Arc<Responder>,
    invoke: Arc<dyn Invoke>,
    stop: CancellationToken,
}

/// Every answer given on the command line must belong to a step.
pub(crate) fn check_answers(answers: &Answers, plan: &Plan) -> Result<(), Problem> {
    match answers.steps().find(|step| !plan.steps.iter().any(|known| known.id == **step)) {
        None => Ok(()),
        Some(step) => {
            Err(Problem::usage(format!("the answer is for the step `{step}`, which the runbook does not have")))
        }
    }
}

impl Execution {
    /// Opens the view and listens for signals. `of` is the run, and the people of each role in it.
    pub(crate) fn open(
        home: &Home,
        plan: Plan,
        of: (RunId, BTreeMap<String, Vec<String>>),
        shown: Shown,
        answers: Answers,
        invoke: Arc<dyn Invoke>,
    ) -> Self {
        let prompts = people::can_be_asked() && answers.are_none();
        let view = view::open(Some(plan.objectives.clone()), prompts);
        if view.moves() {
            logging::hold_back();
            logging::into_file(home.engine_log(&of.0));
        }
        let stop = signals::stop(view.clone());
        let people = Arc::new(Responder::new(answers, of, view.clone(), stop.clone()));
        Self { plan, shown, view, people, invoke, stop }
    }

    /// What the session needs.
    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings {
            invoke: self.invoke.clone(),
            people: self.people.clone(),
            reporter: Arc::new(Forward(self.view.clone())),
            stop: self.stop.clone(),
        }
    }

    /// Leaves the terminal in order and says how the session ended.
    pub(crate) fn close(self, home: &Home, ended: Result<Ended, Error>) -> anyhow::Result<Exit> {
        self.view.close();
        logging::to_standard_error();
        let ended = ended?;
        say(&ended);
        say_copies(home, &ended)?;
        say_dry_run(&self.plan, &ended.state);
        hint(next(&ended));
        say_flags(&ended);
        if self.shown.json {
            json(&recorded::document(&home.load(&ended.run)?, false, ended.at))?;
        }
        Ok(exit(&ended))
    }
}

/// The runtime takes a reporter; a view is one.
struct Forward(Arc<dyn View>);

impl Reporter for Forward {
    fn report(&self, report: &Report, run: &Run) {
        self.0.report(report, run);
    }
}

fn say(ended: &Ended) {
    match &ended.how {
        How::Finished(_) => {
            // The view's last line has the run and its outcome.
            say_failures(&ended.state);
        }
        How::Waiting(steps) => {
            if let Some(pause) = &ended.state.pause {
                note(format_args!("{} {} by {}", styled(WARN, "paused"), ended.run, pause.who));
            }
            note(format_args!("{} {} waits for a person", styled(WARN, "waiting"), ended.run));
            for step in ended.state.steps.iter().filter(|step| steps.contains(&step.id)) {
                let what = waits_for(&step.state).unwrap_or_else(|| "an answer".to_owned());
                note(format_args!("  {}: {what}", step.id));
            }
        }
        How::Stopped => {
            note(format_args!("{} {}: nothing new was started", styled(WARN, "stopped"), ended.run));
        }
    }
}

/// What the run left on machines: it uses its ports and its space until a person removes it.
fn say_copies(home: &Home, ended: &Ended) -> anyhow::Result<()> {
    if matches!(ended.how, How::Finished(_)) {
        for copy in copies::left_by(home, &home.load(&ended.run)?)? {
            note(format_args!("{} {copy}", styled(WARN, "left behind:")));
        }
    }
    Ok(())
}

/// What a dry-run found; nothing of a real run.
fn say_dry_run(plan: &Plan, run: &Run) {
    let Some(rows) = dry_run::rows(plan, run) else { return };
    note("dry-run: nothing was changed");
    let cells = |row: dry_run::DryRunStep<'_>| vec![row.step.to_string(), row.what.to_owned(), row.details];
    let rows: Vec<_> = rows.into_iter().map(cells).collect();
    table::lines(&rows).iter().for_each(|line| note(format_args!("  {line}")));
}

/// What to do next.
fn next(ended: &Ended) -> String {
    match &ended.how {
        How::Finished(Outcome::Failed) if ended.state.can_be_reopened() => {
            let run = &ended.run;
            format!(
                "to retry what failed, run `lifeboat retry {run}`; for the full report, run `lifeboat report {run}`"
            )
        }
        How::Finished(_) => format!("for the full report, run `lifeboat report {}`", ended.run),
        How::Waiting(_) if ended.state.pause.is_some() => format!("run `lifeboat resume {}` to continue", ended.run),
        How::Waiting(_) => format!("run `lifeboat resume {}` in a terminal to answer and continue", ended.run),
        How::Stopped => format!("run `lifeboat resume {}` to continue", ended.run),
    }
}

/// How a script answers the first question.
fn say_flags(ended: &Ended) {
    let How::Waiting(waiting) = &ended.how else { return };
    let step = ended.state.steps.iter().find(|step| waiting.contains(&step.id));
    if let Some(answer) = step.and_then(|step| flag(&step.id, &step.state)) {
        hint(format_args!("or give the answer with it: `lifeboat resume {} {answer}`", ended.run));
    }
}

/// The arguments that answer what a step asks.
fn flag(step: &StepId, state: &StepState) -> Option<String> {
    let StepState::Awaiting(awaiting) = state else { return None };
    Some(match awaiting {
        Awaiting::Approval { .. } => format!("--approve {step}"),
        Awaiting::Hands { evidence, .. } if evidence.is_empty() => format!("--done {step}"),
        Awaiting::Hands { evidence, .. } => {
            let given: Vec<String> = evidence.keys().map(|name| format!("--evidence {step}.{name}=…")).collect();
            given.join(" ")
        }
        Awaiting::Decision { .. } => format!("--decide {step}=again|happened|give-up"),
    })
}

/// Failures once more, where they are many lines above.
fn say_failures(run: &Run) {
    for step in &run.steps {
        if let Some(failure) = step.state.failure() {
            note(format_args!("  {}: {}", step.id, words::failure(failure)));
            if failure.reason().code == "pg-no-port" {
                hint("to see which copies use the ports and how to free them, run `lifeboat copies`");
            }
        }
    }
}

/// What the end of a session means for the shell.
pub(crate) fn exit(ended: &Ended) -> Exit {
    match &ended.how {
        How::Finished(outcome) => exit_of(*outcome, &ended.state),
        How::Waiting(_) | How::Stopped => Exit::Waiting,
    }
}

/// What the end of a run means for the shell. An exception that a person or a `when` made is none for a script.
pub(crate) fn exit_of(outcome: Outcome, run: &Run) -> Exit {
    let failed = |step: &&lifeboat_core::run::StepRun| matches!(step.state, StepState::Failed { .. });
    // A person's no is an answer, not a guard.
    let guard = |failure: &Failure| failure.kind() == FailureKind::Denied && failure.reason().code != "run-rejected";
    let refused = |state: &StepState| state.failure().is_some_and(guard);
    let unclear = |state: &StepState| matches!(state, StepState::Skipped { reason: SkipReason::FailedBehind { .. } });
    match outcome {
        Outcome::Succeeded => Exit::Done,
        Outcome::SucceededWithExceptions if !run.steps.iter().any(|step| failed(&step)) => Exit::Done,
        Outcome::DryRun if !run.steps.iter().any(|step| failed(&step) || unclear(&step.state)) => Exit::Done,
        Outcome::DryRun if !run.steps.iter().any(|step| failed(&step)) => Exit::Inconclusive,
        _ if run.steps.iter().filter(failed).any(|step| refused(&step.state)) => Exit::Refused,
        _ => Exit::Failed,
    }
}
