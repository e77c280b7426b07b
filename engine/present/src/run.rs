//! A run as a document: the JSON that `run`, `resume`, `status` and `report` print.

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    event::{Event, Mode, Outcome, Person, SkipReason},
    failure::Failure,
    name::{RunId, StepId},
    plan::{Plan, RunbookRef, Variant},
    run::{Pause, Phase, Run, Since, StepRun, StepState},
};
use serde::Serialize;

use crate::{
    deeds::{Deed, deeds},
    step::{is_cut_off, waits_for},
};

/// A run as other programs read it.
#[derive(Debug, Serialize)]
pub struct RunDocument<'a> {
    format: &'static str,
    run: &'a RunId,
    runbook: &'a RunbookRef,
    plan_digest: &'a str,
    /// Where the runbook has variants, in which it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<Variant>,
    engine: &'a str,
    mode: Mode,
    who: &'a Person,
    state: RunState,
    /// Whether an engine works on it, also while that waits for a person.
    live: bool,
    outcome: Option<Outcome>,
    started: Timestamp,
    ended: Option<Timestamp>,
    seconds: f64,
    objectives: Seconds,
    /// What is left of the RTO, at the end where it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<BudgetDocument>,
    /// Since when it is paused, and who wanted that.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<PauseDocument<'a>>,
    steps: Vec<StepDocument<'a>>,
    /// What people did, in order.
    people: Vec<Deed<'a>>,
    /// How to continue, where the run is not over.
    resume: Option<String>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It is over.
    Finished,
    /// Somebody must answer.
    Waiting,
    /// It is not over.
    Unfinished,
}

#[derive(Debug, Serialize)]
struct PauseDocument<'a> {
    since: Timestamp,
    who: &'a Person,
    reason: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct BudgetDocument {
    objective_s: f64,
    /// What happened at `from`.
    since: Since,
    from: Timestamp,
    left_s: f64,
}

#[derive(Debug, Serialize)]
struct Seconds {
    rto_s: Option<f64>,
    rpo_s: Option<f64>,
}

#[derive(Debug, Serialize)]
struct StepDocument<'a> {
    id: &'a StepId,
    state: &'static str,
    /// It was at work when the engine ended; `resume` finds out what became of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut_off: bool,
    attempts: u32,
    started: Option<Timestamp>,
    changed: Option<Timestamp>,
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'a SkipReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<String>,
}

/// The document; `None` for a run without events. `events` are those of its journal with when they were recorded, and `live` says
/// whether an engine works on it.
pub fn document<'a>(
    plan: &'a Plan,
    run: &'a Run,
    events: impl IntoIterator<Item = (Timestamp, &'a Event)>,
    live: bool,
    now: Timestamp,
) -> Option<RunDocument<'a>> {
    let (started, facts) = run.started.as_ref()?;
    let (ended, outcome) = match run.phase {
        Phase::Finished { at, outcome } => (Some(at), Some(outcome)),
        _ => (None, None),
    };
    let seconds = |length: Option<SignedDuration>| length.map(|length| length.as_secs_f64());
    Some(RunDocument {
        format: "lifeboat.run/1",
        run: &facts.run,
        runbook: &facts.runbook,
        plan_digest: &facts.plan_digest,
        variant: plan.variant,
        engine: &facts.engine,
        mode: facts.mode,
        who: &facts.who,
        state: state(run),
        live,
        outcome,
        started: *started,
        ended,
        seconds: ended.unwrap_or(now).duration_since(*started).as_secs_f64(),
        objectives: Seconds { rto_s: seconds(plan.objectives.rto), rpo_s: seconds(plan.objectives.rpo) },
        budget: run.budget(&plan.objectives).map(|budget| BudgetDocument {
            objective_s: budget.objective.as_secs_f64(),
            since: budget.since,
            from: budget.from,
            left_s: budget.left(ended.unwrap_or(now)).as_secs_f64(),
        }),
        paused: run.pause.as_ref().map(paused),
        steps: run.steps.iter().map(|state| step(state, live)).collect(),
        people: deeds(events),
        resume: ended.is_none().then(|| format!("lifeboat resume {}", facts.run)),
    })
}

fn paused(pause: &Pause) -> PauseDocument<'_> {
    PauseDocument { since: pause.since, who: &pause.who, reason: pause.reason.as_deref() }
}

/// How the run stands as a whole.
pub fn state(run: &Run) -> RunState {
    if matches!(run.phase, Phase::Finished { .. }) {
        RunState::Finished
    } else if run.steps.iter().any(|step| matches!(step.state, StepState::Awaiting(_))) {
        RunState::Waiting
    } else {
        RunState::Unfinished
    }
}

fn step(step: &StepRun, live: bool) -> StepDocument<'_> {
    let length = step.started.zip(step.changed).map(|(start, end)| end.duration_since(start).as_secs_f64());
    StepDocument {
        id: &step.id,
        state: step.state.word(),
        cut_off: is_cut_off(&step.state, live),
        attempts: step.attempts,
        started: step.started,
        changed: step.changed,
        seconds: length.filter(|_| step.attempts > 0),
        summary: step.state.summary(),
        failure: step.state.failure(),
        skipped: match &step.state {
            StepState::Skipped { reason } => Some(reason),
            _ => None,
        },
        waits_for: waits_for(&step.state),
    }
}
