//! What must hold at every event, and at the end.

use jiff::Timestamp;
use lifeboat_core::{
    decide::decide,
    event::{Event, Mode, OperatorAnswer, Outcome, SkipReason},
    failure::FailureKind,
    input::{Effect, Input},
    name::StepId,
    plan::Plan,
    run::{Phase, Run, StepState},
};

use crate::world::World;

type Journal = [(Timestamp, Event)];

/// Holds an event against the state and the journal before it.
pub(crate) fn before(plan: &Plan, run: &Run, journal: &Journal, event: &Event) {
    match event {
        Event::StepStarted { step, .. } => {
            needs_are_met(plan, run, step);
            if !is_dry(run) {
                nothing_is_repeated_blindly(plan, journal, step);
            }
            attempts_are_bounded(plan, run, journal, step);
            assert_eq!(run.phase, Phase::Running, "nothing starts in a run that ends");
        }
        Event::ApprovalRequested { step, .. } | Event::HandsRequested { step, .. } => {
            assert!(!is_dry(run), "a dry-run asks nobody");
            needs_are_met(plan, run, step);
        }
        Event::UndoStarted { step, attempt, .. } => {
            assert!(!is_dry(run), "a dry-run has nothing to take back");
            if *attempt == 1 {
                undo_is_last_first(plan, run, journal, step);
            }
        }
        Event::StepSkipped { reason, .. } => assert!(is_dry(run) || !reason.is_of_a_dry_run()),
        _ => {}
    }
}

fn is_dry(run: &Run) -> bool {
    run.started.as_ref().is_some_and(|(_, started)| started.mode == Mode::DryRun)
}

fn needs_are_met(plan: &Plan, run: &Run, id: &StepId) {
    let place = plan.position(id).expect("a step of the plan");
    for need in &plan.steps[place].needs {
        let met = matches!(run.steps[*need].state, StepState::Succeeded { .. } | StepState::ResolvedByHand { .. })
            || matches!(&run.steps[*need].state, StepState::Skipped { reason } if is_met(reason));
        assert!(met, "{id} starts before {}", plan.steps[*need].id);
    }
}

fn is_met(reason: &SkipReason) -> bool {
    *reason == SkipReason::WhenFalse || reason.is_of_a_dry_run()
}

/// After an attempt of unknown effect, what can not be repeated starts again only once somebody knows.
fn nothing_is_repeated_blindly(plan: &Plan, journal: &Journal, id: &StepId) {
    let place = plan.position(id).expect("a step of the plan");
    if plan.steps[place].action().is_none_or(|action| action.idempotent) {
        return;
    }
    let mut unknown = false;
    for (_, event) in journal.iter().filter(|(_, event)| event.step() == Some(id)) {
        match event {
            Event::AttemptInterrupted { .. } => unknown = true,
            Event::AttemptFailed { failure, .. } if failure.kind() == FailureKind::Interrupted => unknown = true,
            Event::ObservedNotDone { .. } | Event::OperatorAnswered { answer: OperatorAnswer::RunAgain, .. } => {
                unknown = false;
            }
            _ => {}
        }
    }
    assert!(!unknown, "{id} is repeated although its last attempt may have taken effect");
}

fn attempts_are_bounded(plan: &Plan, run: &Run, journal: &Journal, id: &StepId) {
    let place = plan.position(id).expect("a step of the plan");
    let step = &run.steps[place];
    let count = |wanted: fn(&Event) -> bool| {
        let events = journal.iter().filter(|(_, event)| event.step() == Some(id) && wanted(event));
        u32::try_from(events.count()).expect("few")
    };
    let people = count(|event| matches!(event, Event::OperatorAnswered { .. } | Event::HandsReported { .. }));
    let cut_off = count(|event| matches!(event, Event::AttemptInterrupted { .. } | Event::ObservedNotDone { .. }));
    let handed_in = count(|event| matches!(event, Event::HandsReported { .. }));
    let retries = plan.steps[place].retry.attempts * handed_in.max(1);
    assert!(step.attempts < retries + cut_off + people, "{id} has had {} attempts", step.attempts);
}

fn undo_is_last_first(plan: &Plan, run: &Run, journal: &Journal, id: &StepId) {
    assert_eq!(run.phase, Phase::Undoing { aborted_by: None });
    let place = plan.position(id);
    let earlier = journal.iter().filter_map(|(_, event)| match event {
        Event::UndoStarted { step, .. } => plan.position(step),
        _ => None,
    });
    assert!(earlier.min().is_none_or(|before| Some(before) > place), "{id} is undone too late");
    let busy = run.steps.iter().any(|step| !step.state.is_over());
    assert!(!busy, "{id} is undone while something else goes on");
}

/// Only an event that says so makes something due that was not: what an engine that stops may still record begins nothing.
pub(crate) fn beginning(event: &Event, before: &[Effect], after: &[Effect]) {
    let new = after.iter().find(|effect| !matches!(effect, Effect::WakeAt(_)) && !before.contains(effect));
    assert_eq!(new.is_some(), event.begins_something(), "{event:?} begins {new:?}");
}

/// Something is always due, at most one call a step, and time moves what waits for time only.
pub(crate) fn due(plan: &Plan, run: &Run, now: Timestamp, effects: &[Effect]) {
    assert!(!effects.is_empty(), "a run that is not over waits for something: {run:#?}");
    let owed = !decide(plan, run, &Input::Tick, now).is_empty();
    let wakes = effects.iter().any(|effect| matches!(effect, Effect::WakeAt(at) if *at <= now));
    assert_eq!(owed, wakes, "whoever is owed an event is woken at once: {run:#?}");
    let mut called: Vec<&StepId> = Vec::new();
    for effect in effects {
        match effect {
            Effect::Invoke(call) => {
                assert!(!called.contains(&&call.step), "two calls of {}", call.step);
                called.push(&call.step);
            }
            Effect::WakeAt(at) => {
                let events = decide(plan, run, &Input::Tick, now.max(*at));
                assert!(!events.is_empty(), "the wake-up at {at} changes nothing: {run:#?}");
            }
            Effect::Ask { .. } => {}
        }
    }
}

/// The outcome says no more than the steps do.
pub(crate) fn outcome(plan: &Plan, world: &World<'_>) {
    let outcome = world.run.outcome().expect("a finished run");
    let states = || world.run.steps.iter().map(|step| &step.state);
    let aborted = world.journal.iter().any(|(_, event)| matches!(event, Event::AbortRequested { .. }));
    assert_eq!(outcome == Outcome::Aborted, aborted);
    match outcome {
        Outcome::Succeeded => assert!(states().all(|state| matches!(state, StepState::Succeeded { .. }))),
        Outcome::SucceededWithExceptions => {
            assert!(states().any(|state| !matches!(state, StepState::Succeeded { .. })));
            assert!(states().all(|state| !matches!(state, StepState::Cancelled | StepState::Undone)));
        }
        Outcome::RolledBack => {
            assert!(states().all(|state| !matches!(state, StepState::UndoFailed { .. })));
            let left = |(place, step): (usize, &StepState)| {
                matches!(step, StepState::Succeeded { .. }) && plan.steps[place].undo.is_some()
            };
            assert!(!states().enumerate().any(left), "a step that has an undo was not taken back");
        }
        Outcome::Failed | Outcome::Aborted | Outcome::DryRun => {}
    }
    if is_dry(&world.run) {
        assert!(!matches!(outcome, Outcome::Succeeded | Outcome::SucceededWithExceptions), "{outcome:?}");
    } else {
        assert_ne!(outcome, Outcome::DryRun);
    }
    assert!(matches!(world.journal.last(), Some((_, Event::RunFinished { .. }))));
}
