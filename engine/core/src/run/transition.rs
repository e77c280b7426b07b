//! Which event may follow in which state, and the state that it leads to.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Attempt, Awaiting, EngineEnded, Next, Pause, Phase, Run, Settling, Slot, StepRun, StepState, pause, people, reopen,
};
use crate::{
    event::{Event, KnownBy, OperatorAnswer, SkipReason},
    failure::{Failure, FailureKind, Reason},
    plan::{OnFailure, Section},
};

/// What an event changes.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// The step, as it is afterwards.
    pub(super) step: Option<(Slot, StepRun)>,
    /// The phase, as it is afterwards.
    pub(super) phase: Option<Phase>,
    /// Further steps, as they are afterwards: what an operator wants may concern several.
    pub(super) others: Vec<(Slot, StepRun)>,
    /// The pause, as it is afterwards.
    pub(super) pause: Option<Option<Pause>>,
}

/// What the event changes; `None` where it cannot happen.
pub(super) fn transition(run: &Run, at: Timestamp, event: &Event) -> Option<Change> {
    if run.pause.is_some() && pause::holds_back(event) {
        return None;
    }
    let Some(id) = event.step() else {
        return run_level(run, at, event);
    };
    let slot = run.position(id)?;
    let before = run.step(slot);
    if !phase_allows(run, event, before) {
        return None;
    }
    if matches!(event, Event::StepSkipped { reason, .. } if reason.is_of_a_dry_run()) && !run.is_dry_run() {
        return None;
    }
    let state = match before.state {
        StepState::FannedOut { first, count } => after_items(&run.steps[first..first + count], event)?,
        _ if matches!(event, Event::FanOutBegan { .. }) => after_fan_out(run, slot, event)?,
        _ => state_after(before, at, event)?,
    };
    let mut step = StepRun { id: before.id.clone(), state, changed: Some(at), ..*before };
    count(&mut step, at, event);
    step.in_doubt |= leaves_doubt(&before.state, event, run.wiring.of_step(run.place(slot)).is_repeatable);
    if is_by_operator(before, event) {
        return Some(reopen::dealt_with(run, at, slot, step));
    }
    // A dry-run has nothing to take back.
    let on_failure = match step.on_failure {
        OnFailure::Undo if run.is_dry_run() => OnFailure::Stop,
        on_failure => on_failure,
    };
    let phase = phase_after_failure(&run.phase, event, on_failure);
    Some(Change { step: Some((slot, step)), phase, ..Change::default() })
}

/// What an event that is about no single step changes.
fn run_level(run: &Run, at: Timestamp, event: &Event) -> Option<Change> {
    match event {
        Event::StepsReopened { steps, .. } => reopen::reopened(run, at, steps),
        Event::RunUnpaused { .. } => pause::ended(run, at),
        Event::RunPaused { who, reason } => {
            let goes_on = match &run.phase {
                Phase::Running | Phase::Stopping { undo: true, .. } => true,
                Phase::Stopping { aborted_by, .. }
                | Phase::Undoing { aborted_by }
                | Phase::Handling { aborted_by, .. } => aborted_by.is_none(),
                Phase::NotStarted | Phase::Finished { .. } => false,
            };
            let pause = Pause { since: at, who: who.clone(), reason: reason.clone() };
            (goes_on && run.pause.is_none()).then(|| Change { pause: Some(Some(pause)), ..Change::default() })
        }
        Event::OnsetStated { .. } => {
            let is_open = !matches!(run.phase, Phase::NotStarted | Phase::Finished { .. });
            is_open.then(Change::default)
        }
        Event::AbortRequested { .. } if matches!(run.phase, Phase::Finished { .. }) => {
            reopen::taken_back(run, at, event)
        }
        Event::AbortRequested { .. } => {
            let phase = phase_after(run, at, event)?;
            // What is ended is not held back any more.
            Some(Change { phase: Some(phase), ..pause::ended(run, at).unwrap_or_default() })
        }
        _ => Some(Change { phase: Some(phase_after(run, at, event)?), ..Change::default() }),
    }
}

/// Whether an operator decided it about a step that did not ask.
fn is_by_operator(step: &StepRun, event: &Event) -> bool {
    let asked = matches!(step.state, StepState::Awaiting(Awaiting::Hands { .. }));
    match event {
        Event::HandsReported { reason, .. } => reason.is_some() && !asked,
        Event::ResolvedByHand { reason, .. } => reason.is_some(),
        Event::StepSkipped { reason, .. } => matches!(reason, SkipReason::ByOperator { .. }),
        Event::SkipScheduled { .. } => true,
        _ => false,
    }
}

/// Only a step of the plan has a list, and its items get the next slots.
fn after_fan_out(run: &Run, slot: Slot, event: &Event) -> Option<StepState> {
    let Event::FanOutBegan { items, .. } = event else { return None };
    let waits = matches!(run.step(slot).state, StepState::Waiting) && run.place(slot) == slot;
    let fresh = items.is_empty() || run.position(&run.step(slot).id.item(0)).is_none();
    (waits && fresh).then(|| StepState::FannedOut { first: run.count(), count: items.len() })
}

/// A step with a list is over when its items are; only an abort does not wait for them.
fn after_items(items: &[StepRun], event: &Event) -> Option<StepState> {
    let over = || items.iter().all(|item| item.state.is_over());
    let lost = || items.iter().any(|item| matches!(item.state, StepState::Failed { .. } | StepState::Cancelled));
    match event {
        Event::StepSucceeded { attempt: 0, outputs, summary, known_by, .. } if over() && !lost() => {
            let fits = *known_by == KnownBy::Items || *known_by == KnownBy::NoItems && items.is_empty();
            let (outputs, summary, known_by) = (outputs.clone(), summary.clone(), *known_by);
            fits.then_some(StepState::Succeeded { outputs, summary, known_by })
        }
        Event::StepFailed { failure, .. } if over() && lost() => Some(StepState::Failed { failure: failure.clone() }),
        Event::StepSkipped { reason, .. } if over() && !lost() && reason.is_of_a_dry_run() => {
            Some(StepState::Skipped { reason: reason.clone() })
        }
        Event::StepCancelled { .. } => Some(StepState::Cancelled),
        _ => None,
    }
}

fn phase_after(run: &Run, at: Timestamp, event: &Event) -> Option<Phase> {
    match (event, &run.phase) {
        (Event::RunStarted(_), Phase::NotStarted) => Some(Phase::Running),
        (Event::AbortRequested { who, undo, .. }, Phase::Running | Phase::Stopping { aborted_by: None, .. }) => {
            let undo = *undo && !run.is_dry_run();
            Some(Phase::Stopping { undo, aborted_by: Some(who.clone()) })
        }
        // The second one ends what the first one still waited for.
        (Event::AbortRequested { who, undo: false, .. }, Phase::Stopping { undo: true, .. }) => {
            Some(Phase::Stopping { undo: false, aborted_by: Some(who.clone()) })
        }
        (Event::AbortRequested { who, undo: false, .. }, Phase::Undoing { aborted_by: None }) => {
            Some(Phase::Undoing { aborted_by: Some(who.clone()) })
        }
        (Event::UndoBegan, Phase::Stopping { undo: true, .. }) if run.open(Section::Steps) == 0 => {
            Some(Phase::Undoing { aborted_by: None })
        }
        (Event::AbortRequested { who, undo: false, .. }, Phase::Handling { ending, aborted_by: None }) => {
            Some(Phase::Handling { ending: *ending, aborted_by: Some(who.clone()) })
        }
        (Event::HandlersBegan { .. }, Phase::Handling { .. }) => None,
        (Event::HandlersBegan { ending }, _) if run.has_handlers() && run.ending_now() == Some(*ending) => {
            Some(Phase::Handling { ending: *ending, aborted_by: None })
        }
        (Event::RunFinished { outcome }, _) if run.outcome_now() == Some(*outcome) => {
            Some(Phase::Finished { at, outcome: *outcome })
        }
        _ => None,
    }
}

/// A failed step ends the run early, unless it says that the run continues; a wish to undo outlives one to stop only.
fn phase_after_failure(phase: &Phase, event: &Event, on_failure: OnFailure) -> Option<Phase> {
    let Event::StepFailed { .. } = event else { return None };
    match (phase, on_failure) {
        (Phase::Running, OnFailure::Stop) => Some(Phase::Stopping { undo: false, aborted_by: None }),
        (Phase::Running | Phase::Stopping { aborted_by: None, .. }, OnFailure::Undo) => {
            Some(Phase::Stopping { undo: true, aborted_by: None })
        }
        _ => None,
    }
}

fn phase_allows(run: &Run, event: &Event, step: &StepRun) -> bool {
    if is_by_operator(step, event) {
        return step.section == Section::Steps && run.can_be_reopened();
    }
    let phase = &run.phase;
    let undoing = matches!(step.state, StepState::Undoing { .. })
        || matches!(&step.state, StepState::Settling(Settling::AttemptFailed { next: Next::Undo { .. }, .. }));
    match (phase, event) {
        (Phase::NotStarted | Phase::Finished { .. }, _) => false,
        (Phase::Handling { aborted_by: Some(_), .. }, _) => {
            step.section != Section::Steps && matches!(event, Event::StepCancelled { .. })
        }
        (Phase::Handling { .. }, _) => step.section != Section::Steps,
        _ if step.section != Section::Steps => false,
        (Phase::Undoing { .. }, Event::UndoStarted { .. } | Event::StepUndone { .. } | Event::UndoFailed { .. }) => {
            true
        }
        (_, Event::UndoStarted { .. } | Event::StepUndone { .. } | Event::UndoFailed { .. }) => false,
        (
            Phase::Undoing { .. },
            Event::AttemptFailed { .. } | Event::RetryScheduled { .. } | Event::RetryRequested { .. },
        ) => undoing || matches!(&step.state, StepState::BackingOff { next: Next::Undo { .. }, .. }),
        (Phase::Undoing { .. }, _) => false,
        (Phase::Stopping { .. }, Event::StepStarted { .. } | Event::ApprovalRequested { .. }) => false,
        (Phase::Stopping { .. }, Event::FanOutBegan { .. }) => false,
        (Phase::Stopping { .. }, Event::HandsRequested { .. }) => false,
        (Phase::Stopping { .. }, Event::StepSkipped { reason, .. }) => {
            is_found_out_by_trying(reason) || matches!(step.state, StepState::FannedOut { .. })
        }
        (Phase::Running | Phase::Stopping { .. }, _) => true,
    }
}

fn count(step: &mut StepRun, at: Timestamp, event: &Event) {
    match event {
        Event::StepStarted { .. } => {
            step.attempts += 1;
            step.started.get_or_insert(at);
            step.counted_from.get_or_insert(at);
        }
        Event::FanOutBegan { .. } => drop(step.started.get_or_insert(at)),
        Event::ApprovalRequested { .. } | Event::HandsRequested { .. } => {
            step.failures = 0;
            step.started.get_or_insert(at);
        }
        Event::AttemptInterrupted { .. } => {
            step.interrupted();
            let EngineEnded { times, since } = step.engine_ended.unwrap_or(EngineEnded { times: 0, since: at });
            step.engine_ended = Some(EngineEnded { times: times + 1, since });
        }
        Event::OperatorAnswered { answer: OperatorAnswer::RunAgain, .. } => step.wanted_again(at),
        Event::RetryRequested { .. } => {
            step.failures = 0;
            step.observations = 0;
            step.wanted_again(at);
        }
        Event::AttemptFailed { failure, .. } => match &step.state {
            StepState::Settling(Settling::AttemptFailed { next: Next::Observe(_), .. }) => step.observations += 1,
            StepState::Settling(Settling::AttemptFailed { next: Next::Run, .. })
                if failure.kind() == FailureKind::Interrupted =>
            {
                step.failures += 1;
                step.interrupted();
            }
            StepState::Settling(Settling::AttemptFailed { next: Next::Run | Next::Verify { .. }, .. }) => {
                step.failures += 1;
            }
            StepState::Settling(Settling::AttemptFailed { next: Next::Undo { .. }, .. }) => step.undo_failures += 1,
            _ => {}
        },
        Event::UndoStarted { .. } => step.undo_attempts += 1,
        _ => {}
    }
}

/// Whether the step leaves an attempt behind whose effect is unknown. An attempt that cannot be repeated is examined first, and
/// then its effect is known; a decision before that leaves the doubt.
fn leaves_doubt(before: &StepState, event: &Event, is_repeatable: bool) -> bool {
    let unknown = |failure: &Failure| match failure.kind() {
        FailureKind::Interrupted => true,
        FailureKind::Transient => is_repeatable,
        _ => false,
    };
    match (event, before) {
        (Event::StepFailed { failure, .. }, _) if unknown(failure) => true,
        (Event::OperatorAnswered { answer: OperatorAnswer::RunAgain, .. } | Event::HandsReported { .. }, _) => true,
        (
            Event::StepSkipped { .. } | Event::StepCancelled { .. },
            StepState::Running(_)
            | StepState::Observing(_)
            | StepState::BackingOff { next: Next::Observe(_), .. }
            | StepState::Awaiting(Awaiting::Decision { .. })
            | StepState::Settling(Settling::Decision { .. } | Settling::AttemptFailed { next: Next::Observe(_), .. }),
        ) => true,
        (
            Event::RetryScheduled { .. }
            | Event::RetryRequested { .. }
            | Event::StepFailed { .. }
            | Event::StepSkipped { .. }
            | Event::StepCancelled { .. },
            _,
        ) => match before {
            StepState::Interrupted(_) => true,
            StepState::Settling(Settling::AttemptFailed { failure, next: Next::Run, .. }) => unknown(failure),
            _ => false,
        },
        _ => false,
    }
}

impl StepRun {
    fn interrupted(&mut self) {
        self.interruptions += 1;
        self.observations = 0;
    }

    fn wanted_again(&mut self, at: Timestamp) {
        self.counted_from = Some(at);
        self.engine_ended = None;
    }
}

/// One arm a kind of event; the function for its group says in which states it may come.
fn state_after(step: &StepRun, at: Timestamp, event: &Event) -> Option<StepState> {
    match event {
        Event::StepStarted { attempt, parameters, deadline, .. } => {
            let attempt = begun(*attempt, step.attempts, parameters, at, *deadline)?;
            after_start(&step.state, attempt)
        }
        Event::UndoStarted { attempt, parameters, deadline, .. } => {
            let attempt = begun(*attempt, step.undo_attempts, parameters, at, *deadline)?;
            Some(StepState::Undoing { attempt, outputs: undoable(step)? })
        }
        Event::StepSucceeded { attempt, outputs, summary, known_by, .. } => may_succeed(step, *attempt, *known_by)
            .then(|| StepState::Succeeded { outputs: outputs.clone(), summary: summary.clone(), known_by: *known_by }),
        Event::AttemptFailed { attempt, failure, .. } => after_attempt_failed(&step.state, *attempt, failure),
        Event::RetryScheduled { until, .. } => after_retry_scheduled(&step.state, *until),
        Event::StepFailed { failure, .. } => {
            may_fail(&step.state).then(|| StepState::Failed { failure: failure.clone() })
        }
        Event::StepSkipped { reason, .. } => {
            may_be_skipped(&step.state, reason).then(|| StepState::Skipped { reason: reason.clone() })
        }
        Event::RetryRequested { .. } => after_retry_requested(&step.state, at),
        Event::SkipScheduled { .. } => {
            matches!(step.state, StepState::Waiting | StepState::Cancelled).then(|| step.state.clone())
        }
        Event::StepCancelled { .. } => may_be_cancelled(&step.state).then_some(StepState::Cancelled),
        Event::AttemptInterrupted { .. } | Event::ObservationStarted { .. } | Event::ObservedNotDone { .. } => {
            after_interruption(&step.state, at, event)
        }
        Event::StepUndone { .. } => matches!(step.state, StepState::Undoing { .. }).then_some(StepState::Undone),
        Event::UndoFailed { failure, .. } => {
            let outputs = while_undoing(step).or_else(|| undoable(step))?;
            Some(StepState::UndoFailed { failure: failure.clone(), outputs, wanted: false })
        }
        _ => people::after(&step.state, at, event),
    }
}

fn begun(
    number: u32,
    before: u32,
    parameters: &Value,
    started: Timestamp,
    deadline: Option<Timestamp>,
) -> Option<Attempt> {
    (number.checked_sub(1) == Some(before)).then(|| Attempt {
        number,
        parameters: parameters.clone(),
        started,
        deadline,
    })
}

fn after_start(state: &StepState, attempt: Attempt) -> Option<StepState> {
    match state {
        StepState::Waiting | StepState::BackingOff { next: Next::Run, .. } => Some(StepState::Running(attempt)),
        StepState::Settling(Settling::Hands { who, evidence })
        | StepState::BackingOff { next: Next::Verify { who, evidence }, .. }
        | StepState::Verifying { who, evidence, .. } => {
            Some(StepState::Verifying { attempt, who: who.clone(), evidence: evidence.clone() })
        }
        _ => None,
    }
}

/// The outputs of a step that can be undone: null where it never told any.
fn undoable(step: &StepRun) -> Option<Value> {
    match &step.state {
        StepState::Succeeded { outputs, .. }
        | StepState::BackingOff { next: Next::Undo { outputs }, .. }
        | StepState::Undoing { outputs, .. } => Some(outputs.clone()),
        StepState::ResolvedByHand { evidence, .. } => Some(evidence.clone()),
        StepState::Failed { .. } => Some(Value::Null),
        StepState::Cancelled | StepState::Skipped { .. } if step.in_doubt => Some(Value::Null),
        StepState::UndoFailed { outputs, wanted: true, .. } => Some(outputs.clone()),
        _ => None,
    }
}

fn may_succeed(step: &StepRun, number: u32, known_by: KnownBy) -> bool {
    match (&step.state, known_by) {
        (StepState::Running(attempt), KnownBy::Answer) => attempt.number == number,
        (StepState::Observing(attempt), KnownBy::Observation) => attempt.number == number,
        (StepState::Settling(Settling::Approval { approved, .. }), KnownBy::Approval) => *approved && number == 0,
        (StepState::Settling(Settling::Decision { attempt, answer, .. }), KnownBy::Operator) => {
            attempt.number == number && matches!(answer, OperatorAnswer::ItHappened { .. })
        }
        _ => false,
    }
}

fn after_attempt_failed(state: &StepState, number: u32, failure: &Failure) -> Option<StepState> {
    let (attempt, next) = match state {
        StepState::Running(attempt) => (attempt, Next::Run),
        StepState::Observing(attempt) => (attempt, Next::Observe(attempt.clone())),
        StepState::Verifying { attempt, who, evidence } => {
            (attempt, Next::Verify { who: who.clone(), evidence: evidence.clone() })
        }
        StepState::Undoing { attempt, outputs } => (attempt, Next::Undo { outputs: outputs.clone() }),
        _ => return None,
    };
    (attempt.number == number).then(|| {
        StepState::Settling(Settling::AttemptFailed { attempt: attempt.clone(), failure: failure.clone(), next })
    })
}

fn after_retry_scheduled(state: &StepState, until: Timestamp) -> Option<StepState> {
    match state {
        StepState::Settling(Settling::AttemptFailed { failure, next, .. }) => {
            Some(StepState::BackingOff { until, failure: failure.clone(), next: next.clone() })
        }
        // What did not take effect, as its plugin says, is tried again at once, or later where that is put off.
        StepState::Interrupted(_) | StepState::BackingOff { failure: Failure::Interrupted(_), next: Next::Run, .. } => {
            Some(run_again(until))
        }
        _ => None,
    }
}

/// A wait ends if a person says so, and what is not yet decided is decided.
fn after_retry_requested(state: &StepState, at: Timestamp) -> Option<StepState> {
    match state {
        StepState::BackingOff { failure, next, .. }
        | StepState::Settling(Settling::AttemptFailed { failure, next, .. }) => {
            Some(StepState::BackingOff { until: at, failure: failure.clone(), next: next.clone() })
        }
        _ => None,
    }
}

pub(super) fn run_again(until: Timestamp) -> StepState {
    let reason = Reason::new("run-interrupted", "the previous attempt was cut off");
    StepState::BackingOff { until, failure: Failure::Interrupted(reason), next: Next::Run }
}

/// Before it begins, but for what a dry-run finds out by trying.
fn may_be_skipped(state: &StepState, reason: &SkipReason) -> bool {
    if is_found_out_by_trying(reason) {
        matches!(state, StepState::Settling(Settling::AttemptFailed { next: Next::Run, .. }))
    } else if matches!(reason, SkipReason::ByOperator { .. }) {
        people::may_be_dealt_with(state)
    } else {
        matches!(state, StepState::Waiting)
    }
}

fn is_found_out_by_trying(reason: &SkipReason) -> bool {
    matches!(reason, SkipReason::WouldRun { .. } | SkipReason::FailedBehind { .. })
}

fn may_fail(state: &StepState) -> bool {
    match state {
        StepState::Waiting | StepState::Interrupted(_) | StepState::Observing(_) | StepState::Awaiting(_) => true,
        StepState::BackingOff { next, .. } | StepState::Settling(Settling::AttemptFailed { next, .. }) => {
            !matches!(next, Next::Undo { .. })
        }
        StepState::Settling(_) => true,
        _ => false,
    }
}

fn may_be_cancelled(state: &StepState) -> bool {
    may_fail(state) || matches!(state, StepState::Running(_) | StepState::Verifying { .. })
}

/// The outputs of a step whose undo has failed and was not decided about yet.
fn while_undoing(step: &StepRun) -> Option<Value> {
    match &step.state {
        StepState::Settling(Settling::AttemptFailed { next: Next::Undo { outputs }, .. }) => Some(outputs.clone()),
        _ => None,
    }
}

fn after_interruption(state: &StepState, at: Timestamp, event: &Event) -> Option<StepState> {
    match (event, state) {
        (Event::AttemptInterrupted { attempt: number, .. }, StepState::Running(attempt))
            if attempt.number == *number =>
        {
            Some(StepState::Interrupted(attempt.clone()))
        }
        (
            Event::ObservationStarted { attempt: number, .. },
            StepState::Interrupted(attempt)
            | StepState::Settling(Settling::AttemptFailed { attempt, next: Next::Run, .. })
            | StepState::BackingOff { next: Next::Observe(attempt), .. },
        ) if attempt.number == *number => Some(StepState::Observing(attempt.clone())),
        (Event::ObservedNotDone { attempt: number, .. }, StepState::Observing(attempt))
            if attempt.number == *number =>
        {
            Some(run_again(at))
        }
        _ => None,
    }
}
