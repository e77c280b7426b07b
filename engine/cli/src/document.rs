//! The JSON about a run that `run`, `resume` and `status` print, and the words that go with it.

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    event::{Mode, Outcome, Person, SkipReason},
    failure::Failure,
    name::{RunId, StepId},
    plan::{RunbookRef, Variant},
    run::{Awaiting, Pause, Phase, Run, Since, StepRun, StepState},
};
use lifeboat_runtime::home::Loaded;
use serde::Serialize;

use crate::deeds::{Deed, deeds};

/// A run as other programs read it.
#[derive(Debug, Serialize)]
pub(crate) struct RunDocument<'a> {
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
    /// How to go on, where the run is not over.
    resume: Option<String>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunState {
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

/// The document; `None` for a run without events. `live` says whether an engine works on it.
pub(crate) fn run(loaded: &Loaded, live: bool, now: Timestamp) -> Option<RunDocument<'_>> {
    let Loaded { plan, run, events, .. } = loaded;
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
pub(crate) fn state(run: &Run) -> RunState {
    if matches!(run.phase, Phase::Finished { .. }) {
        RunState::Finished
    } else if run.steps.iter().any(|step| matches!(step.state, StepState::Awaiting(_))) {
        RunState::Waiting
    } else {
        RunState::Unfinished
    }
}

/// Whether something was being done for the step when the engine ended, where none works on the run.
pub(crate) fn is_cut_off(state: &StepState, live: bool) -> bool {
    let at_work = matches!(
        state,
        StepState::Running(_) | StepState::Observing(_) | StepState::Verifying { .. } | StepState::Undoing { .. }
    );
    at_work && !live
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

/// What a person must do for a step, in a sentence.
pub(crate) fn waits_for(state: &StepState) -> Option<String> {
    let StepState::Awaiting(awaiting) = state else { return None };
    Some(match awaiting {
        Awaiting::Approval { by, message, approved_by, expires, .. } => {
            let second = approved_by.as_ref().map(|first| format!(", besides {first}")).unwrap_or_default();
            let until = expires.map(|expires| format!(" (until {expires:.0})")).unwrap_or_default();
            format!("approval by {}{second}{until}: {message}", crate::view::people(by))
        }
        Awaiting::Hands { instruction, evidence } if evidence.is_empty() => format!("work by hand: {instruction}"),
        Awaiting::Hands { instruction, evidence } => {
            let evidence: Vec<&str> = evidence.keys().map(String::as_str).collect();
            format!("work by hand: {instruction} (hand in {})", evidence.join(", "))
        }
        Awaiting::Decision { reason, .. } => format!("a decision: {}", reason.message),
    })
}
