//! What should be in flight: recomputed from the state each time, never remembered.

use jiff::Timestamp;

use crate::{
    decide::{Readiness, observation_deadline, readiness},
    input::{Call, Effect, Purpose, Question},
    plan::{Invocation, Plan, Step, StepKind},
    run::{Attempt, Awaiting, Next, Phase, Run, StepRun, StepState},
};

/// Everything that should be in flight now, in plan order, and one wake-up at the earliest instant at which time alone
/// changes something. The wake-up is at `now` where an event is still owed (a journal cut off in the middle of a decision).
pub fn due(plan: &Plan, run: &Run, now: Timestamp) -> Vec<Effect> {
    if matches!(run.phase, Phase::NotStarted | Phase::Finished { .. }) {
        return Vec::new();
    }
    let mut due = Due { effects: Vec::new(), wake: None };
    for (planned, step) in plan.steps.iter().zip(&run.steps) {
        if is_dropped(&run.phase, &step.state) {
            due.wake_at(now);
        } else {
            due.step(planned, step, run, now);
        }
    }
    if due.effects.is_empty() && due.wake.is_none() {
        due.wake_at(now);
    }
    due.effects.extend(due.wake.map(Effect::WakeAt));
    due.effects
}

/// Whether the end of the run has overtaken the step, and only the event that says so is still owed.
fn is_dropped(phase: &Phase, state: &StepState) -> bool {
    match phase {
        Phase::Stopping { aborted_by: Some(_), .. } | Phase::Undoing { aborted_by: Some(_) } => !state.is_over(),
        Phase::Stopping { .. } => matches!(
            state,
            StepState::Waiting
                | StepState::BackingOff { next: Next::Run | Next::Verify { .. }, .. }
                | StepState::Awaiting(Awaiting::Approval { .. } | Awaiting::Hands { .. })
        ),
        _ => false,
    }
}

struct Due {
    effects: Vec<Effect>,
    wake: Option<Timestamp>,
}

impl Due {
    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    fn step(&mut self, planned: &Step, step: &StepRun, run: &Run, now: Timestamp) {
        match &step.state {
            StepState::Running(attempt) => self.call(planned, planned.action(), attempt, Purpose::Run),
            StepState::Verifying { attempt, .. } => self.call(planned, planned.verify(), attempt, Purpose::Verify),
            StepState::Undoing { attempt, .. } => self.call(planned, planned.undo.as_ref(), attempt, Purpose::Undo),
            StepState::Observing(attempt) => {
                let deadline = observation_deadline(step.changed.unwrap_or(now));
                let attempt = Attempt { deadline: Some(deadline), ..attempt.clone() };
                self.call(planned, planned.action(), &attempt, Purpose::Observe);
            }
            StepState::BackingOff { until, .. } => self.wake_at(*until),
            StepState::Interrupted(_) | StepState::Settling(_) => self.wake_at(now),
            StepState::Waiting => {
                if readiness(run, &planned.needs) != Readiness::Blocked {
                    self.wake_at(now);
                }
            }
            StepState::Awaiting(awaiting) => self.ask(planned, awaiting),
            StepState::Succeeded { .. }
            | StepState::ResolvedByHand { .. }
            | StepState::Skipped { .. }
            | StepState::Failed { .. }
            | StepState::Cancelled
            | StepState::Undone
            | StepState::UndoFailed { .. } => {}
        }
    }

    fn call(&mut self, planned: &Step, action: Option<&Invocation>, attempt: &Attempt, purpose: Purpose) {
        let Some(action) = action else { return };
        if let Some(deadline) = attempt.deadline {
            self.wake_at(deadline);
        }
        self.effects.push(Effect::Invoke(Call {
            step: planned.id.clone(),
            attempt: attempt.number,
            purpose,
            action: action.action.clone(),
            parameters: attempt.parameters.clone(),
            grants: action.grants.clone(),
            deadline: attempt.deadline,
        }));
    }

    fn ask(&mut self, planned: &Step, awaiting: &Awaiting) {
        let question = match (awaiting, &planned.kind) {
            (Awaiting::Approval { by, message }, _) => Question::Approve { by: by.clone(), message: message.clone() },
            (Awaiting::Hands { instruction, .. }, StepKind::Manual { evidence, .. }) => {
                Question::Hands { instruction: instruction.clone(), evidence: evidence.clone() }
            }
            (Awaiting::Hands { instruction, .. }, _) => {
                Question::Hands { instruction: instruction.clone(), evidence: std::collections::BTreeMap::new() }
            }
            (Awaiting::Decision { reason, .. }, _) => Question::Decide { reason: reason.message.clone() },
        };
        // A decision about an interrupted attempt is waited for as long as it takes: nothing else can be right.
        let within = planned.timeout.filter(|_| !matches!(awaiting, Awaiting::Decision { .. }));
        self.effects.push(Effect::Ask { step: planned.id.clone(), question, within });
    }
}
