//! What should be in flight: recomputed from the state each time, never remembered.

use jiff::Timestamp;

use crate::{
    decide::{has_room, settles_in_a_pause, wants_attention},
    input::{Call, Effect, Purpose, Question},
    plan::{Invocation, Plan, Section, Step, StepKind},
    run::{Attempt, Awaiting, Next, Phase, Run, StepRun, StepState, observation_deadline},
};

/// Everything that should be in flight now, in plan order (items of lists behind it), and one wake-up at the earliest instant at
/// which time alone changes something. The wake-up is at `now` where an event is still owed (a journal cut off in the middle of
/// a decision).
pub fn due(plan: &Plan, run: &Run, now: Timestamp) -> Vec<Effect> {
    if matches!(run.phase, Phase::NotStarted | Phase::Finished { .. }) {
        return Vec::new();
    }
    let held = run.pause.is_some();
    let mut due = Due { effects: Vec::new(), wake: run.first_timer().filter(|_| !held), held };
    for slot in run.in_flight() {
        let step = run.step(slot);
        if !is_dropped(&run.phase, step) {
            due.step(&plan.steps[run.place(slot)], step, now);
        }
    }
    if held {
        due.effects.push(Effect::Hold);
        if run.owed().any(|slot| settles_in_a_pause(&plan.steps[run.place(slot)], &run.step(slot).state)) {
            due.wake_at(now);
        }
    } else if is_owed(plan, run) || (due.effects.is_empty() && due.wake.is_none()) {
        due.wake_at(now);
    }
    let wakes = if due.wake > Some(now) && run.only_questions_expire() { Effect::ExpiresAt } else { Effect::WakeAt };
    due.effects.extend(due.wake.map(wakes));
    due.effects
}

/// Whether an event is owed: a decision never leaves one, but a crash in the middle of one does.
fn is_owed(plan: &Plan, run: &Run) -> bool {
    let list_wants_attention = || run.fanned_out().any(|slot| wants_attention(plan, run, slot));
    let section = match &run.phase {
        Phase::Running => Section::Steps,
        Phase::Handling { aborted_by: None, .. } if run.open(Section::OnFailure) > 0 => Section::OnFailure,
        Phase::Handling { aborted_by: None, .. } => Section::Finally,
        Phase::Undoing { aborted_by: None } => return run.owed().next().is_some(),
        phase => {
            let dropped = || run.steps.iter().any(|step| is_dropped(phase, step));
            return run.owed().next().is_some() || dropped() || list_wants_attention();
        }
    };
    let can_begin = has_room(run) && run.ready(section).next().is_some();
    can_begin || run.owed().next().is_some() || list_wants_attention()
}

/// Whether the end of the run has overtaken the step, and only the event that says so is still owed.
fn is_dropped(phase: &Phase, step: &StepRun) -> bool {
    let state = &step.state;
    match phase {
        Phase::Handling { aborted_by: Some(_), .. } => !state.is_over(),
        _ if step.section != Section::Steps => false,
        Phase::Stopping { undo: false, aborted_by: Some(_) } | Phase::Undoing { aborted_by: Some(_) } => {
            !state.is_over()
        }
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
    /// The run is paused: no time counts for what runs.
    held: bool,
}

impl Due {
    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    fn step(&mut self, planned: &Step, step: &StepRun, now: Timestamp) {
        let held = self.held;
        let call = |action, attempt: &Attempt, purpose| {
            let deadline = attempt.deadline.filter(|_| !held);
            call(step, action, &Attempt { deadline, ..attempt.clone() }, purpose)
        };
        let effect = match &step.state {
            StepState::Running(attempt) => call(planned.action(), attempt, Purpose::Run),
            StepState::Verifying { attempt, .. } => call(planned.verify(), attempt, Purpose::Verify),
            StepState::Undoing { attempt, .. } => call(planned.undo.as_ref(), attempt, Purpose::Undo),
            StepState::Observing(attempt) => {
                let deadline = observation_deadline(step.changed.unwrap_or(now));
                let attempt = Attempt { deadline: Some(deadline), ..attempt.clone() };
                call(planned.action(), &attempt, Purpose::Observe)
            }
            StepState::Awaiting(awaiting) => Some(ask(planned, step, awaiting)),
            _ => None,
        };
        self.effects.extend(effect);
    }
}

fn call(step: &StepRun, action: Option<&Invocation>, attempt: &Attempt, purpose: Purpose) -> Option<Effect> {
    let action = action?;
    Some(Effect::Invoke(Call {
        step: step.id.clone(),
        attempt: attempt.number,
        purpose,
        action: action.action.clone(),
        parameters: attempt.parameters.clone(),
        grants: action.grants.clone(),
        deadline: attempt.deadline,
    }))
}

fn ask(planned: &Step, step: &StepRun, awaiting: &Awaiting) -> Effect {
    let question = match (awaiting, &planned.kind) {
        (Awaiting::Approval { by, message, approved_by, .. }, _) => {
            let message = match approved_by {
                Some(first) => format!("{message}\n\n{first} has approved it; somebody else must approve it too."),
                None => message.clone(),
            };
            Question::Approve { by: by.clone(), message, approved_by: approved_by.clone() }
        }
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
    Effect::Ask { step: step.id.clone(), question, within }
}
