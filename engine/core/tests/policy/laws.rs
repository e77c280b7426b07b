//! What must hold at every event, and at the end.

use jiff::Timestamp;
use lifeboat_core::{
    decide::decide,
    event::{Event, KnownBy, Mode, OperatorAnswer, Outcome, SkipReason},
    failure::FailureKind,
    input::{Effect, Input},
    name::StepId,
    plan::{Plan, Section, StepKind},
    run::{Next, Phase, Run, Settling, StepRun, StepState},
};

use crate::world::World;

type Journal = [(Timestamp, Event)];

/// Holds an event against the state and the journal before it.
pub(crate) fn before(plan: &Plan, run: &Run, journal: &Journal, event: &Event) {
    if run.pause.is_some() {
        assert!(!event.begins_something(), "{event:?} begins something in a paused run");
        let ends = matches!(event, Event::StepFailed { .. } | Event::UndoBegan | Event::RunFinished { .. });
        assert!(!ends, "{event:?} ends something for good in a paused run");
    }
    match event {
        Event::StepStarted { step, deadline, .. } => {
            let end = end_of_time(plan, journal, step);
            assert!(end.is_none_or(|end| deadline.is_some_and(|deadline| deadline <= end)), "{step} outlasts its time");
            assert!(end.is_none_or(|end| journal.last().is_none_or(|(now, _)| *now < end)), "{step} starts too late");
            needs_are_met(plan, run, step);
            if !is_dry(run) {
                nothing_is_repeated_blindly(plan, journal, step);
            }
            attempts_are_bounded(plan, run, journal, step);
            let goes_on = matches!(run.phase, Phase::Running | Phase::Handling { aborted_by: None, .. });
            assert!(goes_on, "nothing starts in a run that ends");
            sections_keep_their_turn(plan, run, step);
            lists_keep_their_limit(plan, run, step);
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
        Event::RetryScheduled { step, until } if is_for_the_step(run, step) => {
            assert!(end_of_time(plan, journal, step).is_none_or(|end| *until < end), "{step} is tried again too late");
        }
        Event::StepSkipped { reason, .. } => assert!(is_dry(run) || !reason.is_of_a_dry_run()),
        _ => {}
    }
}

/// When the time of the whole step is over, which counts from its first start or a person's word that it be run again. `None`
/// before that, and where it has all the time that it needs.
fn end_of_time(plan: &Plan, journal: &Journal, id: &StepId) -> Option<Timestamp> {
    let limit = plan.steps[place_of(plan, id)].time_limit?;
    let (mut from, mut paused) = (None::<Timestamp>, None::<Timestamp>);
    for (at, event) in journal {
        match event {
            // Whatever continues behind the end has its whole time again.
            Event::RunFinished { .. } => from = None,
            Event::RunPaused { .. } => paused = Some(*at),
            Event::RunUnpaused { .. } | Event::AbortRequested { .. } => {
                if let (Some(since), Some(counted)) = (paused.take(), from) {
                    from = Some(counted + at.duration_since(since.max(counted)));
                }
            }
            // Whatever is done once more has its whole time again.
            event if is_reopening(event) || is_dealt_with(event) => from = None,
            event if event.step() != Some(id) => {}
            Event::StepStarted { .. } => from = from.or(Some(*at)),
            Event::RetryRequested { .. } | Event::OperatorAnswered { answer: OperatorAnswer::RunAgain, .. } => {
                from = Some(*at);
            }
            _ => {}
        }
    }
    from.map(|from| from + limit)
}

/// Whether the step's own action is what will be tried again, not the question what became of it or the way back.
fn is_for_the_step(run: &Run, id: &StepId) -> bool {
    let state = run.find(id).map(|step| &step.state);
    matches!(
        state,
        Some(StepState::Interrupted(_) | StepState::Settling(Settling::AttemptFailed { next: Next::Run, .. }))
    )
}

fn is_dry(run: &Run) -> bool {
    run.started.as_ref().is_some_and(|(_, started)| started.mode == Mode::DryRun)
}

/// The place of a step, or of the step of which it is an item.
fn place_of(plan: &Plan, id: &StepId) -> usize {
    let step = id.as_str().split('[').next().expect("a name");
    plan.position(&StepId::new(step).expect("a name")).expect("a step of the plan")
}

fn needs_are_met(plan: &Plan, run: &Run, id: &StepId) {
    let place = place_of(plan, id);
    let handler = plan.steps[place].section != Section::Steps;
    for need in &plan.steps[place].needs {
        if handler && run.steps[*need].state.is_over() {
            let asked = matches!(plan.steps[*need].kind, StepKind::Approve { .. });
            let left_out = |reason: &SkipReason| matches!(reason, SkipReason::NeedNotMet { .. });
            let refused = asked
                && match &run.steps[*need].state {
                    StepState::Failed { .. } => true,
                    StepState::Skipped { reason } => left_out(reason),
                    _ => false,
                };
            assert!(!refused, "{id} is done although people did not say yes to {}", plan.steps[*need].id);
            continue;
        }
        let met = matches!(run.steps[*need].state, StepState::Succeeded { .. } | StepState::ResolvedByHand { .. })
            || matches!(&run.steps[*need].state, StepState::Skipped { reason } if is_met(reason));
        assert!(met, "{id} starts before {}", plan.steps[*need].id);
    }
}

fn is_met(reason: &SkipReason) -> bool {
    let met = SkipReason::is_of_a_dry_run(reason);
    met || matches!(
        reason,
        SkipReason::WhenFalse | SkipReason::NotAsked | SkipReason::DoneBefore | SkipReason::ByOperator { .. }
    )
}

/// After an attempt of unknown effect, what cannot be repeated starts again only once somebody knows.
fn nothing_is_repeated_blindly(plan: &Plan, journal: &Journal, id: &StepId) {
    let place = place_of(plan, id);
    if plan.steps[place].action().is_none_or(|action| action.idempotent) {
        return;
    }
    let is_item = |item: &StepId, list: &StepId| {
        item.as_str().strip_prefix(list.as_str()).is_some_and(|rest| rest.starts_with('['))
    };
    let mut unknown = false;
    for (_, event) in journal {
        match event {
            // Somebody has seen what was done and wants it once more.
            Event::StepsReopened { steps, .. } if steps.iter().any(|step| step == id || is_item(id, step)) => {
                unknown = false;
            }
            event if event.step() != Some(id) => {}
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

/// Handlers begin when the recovery has ended, those for a failure only where it failed, and those for every end come last.
fn sections_keep_their_turn(plan: &Plan, run: &Run, id: &StepId) {
    let section = plan.steps[place_of(plan, id)].section;
    let before = run.steps.iter().filter(|step| step.section < section);
    assert!(before.into_iter().all(|step| step.state.is_over()), "{id} begins before its time");
    let ended_well = |ending| matches!(ending, Outcome::Succeeded | Outcome::SucceededWithExceptions | Outcome::DryRun);
    match (&run.phase, section) {
        (Phase::Handling { ending, .. }, Section::OnFailure) => assert!(!ended_well(*ending), "nothing failed"),
        (Phase::Handling { .. }, Section::Finally) | (Phase::Running, Section::Steps) => {}
        (phase, _) => panic!("{id} begins in {phase:?}"),
    }
}

fn lists_keep_their_limit(plan: &Plan, run: &Run, id: &StepId) {
    let Some((list, _)) = id.as_str().split_once('[') else { return };
    let under_way = |step: &&StepRun| {
        let mine = step.id.as_str().split_once('[').is_some_and(|(name, _)| name == list);
        mine && step.id != *id && !step.state.is_over() && step.state != StepState::Waiting
    };
    let limit = plan.steps[place_of(plan, id)].each.as_ref().map_or(0, |each| each.max_parallel);
    let busy = run.steps.iter().filter(under_way).count();
    assert!(busy < usize::try_from(limit).expect("small"), "{busy} items of {list} are under way already");
}

fn attempts_are_bounded(plan: &Plan, run: &Run, journal: &Journal, id: &StepId) {
    let place = place_of(plan, id);
    let step = run.find(id).expect("a step of the run");
    let count = |wanted: fn(&Event) -> bool| {
        let events = journal.iter().filter(|(_, event)| event.step() == Some(id) && wanted(event));
        u32::try_from(events.count()).expect("few")
    };
    let people = count(|event| matches!(event, Event::OperatorAnswered { .. } | Event::HandsReported { .. }));
    let cut_off = count(|event| matches!(event, Event::AttemptInterrupted { .. } | Event::ObservedNotDone { .. }));
    let handed_in = count(|event| matches!(event, Event::HandsReported { .. }));
    let reopened = |event: &Event| match event {
        Event::StepsReopened { steps, .. } => steps.contains(id),
        Event::RetryRequested { step, .. } => step == id,
        _ => false,
    };
    let anew = u32::try_from(journal.iter().filter(|(_, event)| reopened(event)).count()).expect("few");
    // What was cancelled or left out waits again with what was reopened, and its `retry` counts anew too.
    let goes_on = |event: &Event| matches!(event, Event::StepsReopened { .. }) || is_dealt_with(event);
    // So it does where a run that is over is undone: people hear again how it ended.
    let taken_back = journal
        .windows(2)
        .filter(|pair| matches!((&pair[0].1, &pair[1].1), (Event::RunFinished { .. }, Event::AbortRequested { .. })));
    let again = journal.iter().filter(|(_, event)| goes_on(event)).count() + taken_back.count();
    let again = u32::try_from(again).expect("few");
    // A check that the engine cut off begins again.
    let own: Vec<_> = journal.iter().map(|(_, event)| event).filter(|event| event.step() == Some(id)).collect();
    let starts = |pair: &&[&Event]| pair.iter().all(|event| matches!(event, Event::StepStarted { .. }));
    let checked_again = u32::try_from(own.windows(2).filter(starts).count()).expect("few");
    let checks_again = u32::from(matches!(step.state, StepState::Verifying { .. }));
    let cut_off = cut_off + checked_again + checks_again;
    let retries = plan.steps[place].retry.attempts * (handed_in.max(1) + anew + again);
    assert!(step.attempts < retries + cut_off + people, "{id} has had {} attempts", step.attempts);
}

fn undo_is_last_first(plan: &Plan, run: &Run, journal: &Journal, id: &StepId) {
    assert_eq!(run.phase, Phase::Undoing { aborted_by: None });
    let order = |id: &StepId| (place_of(plan, id), run.steps.iter().position(|step| step.id == *id));
    // What could not be undone is tried again when somebody asks again.
    let asked_again = journal.iter().rposition(|(_, event)| matches!(event, Event::UndoBegan)).unwrap_or(0);
    let earlier = journal[asked_again..].iter().filter_map(|(_, event)| match event {
        Event::UndoStarted { step, .. } => Some(order(step)),
        _ => None,
    });
    assert!(earlier.min().is_none_or(|before| before > order(id)), "{id} is undone too late");
    let busy = run.steps.iter().any(|step| step.section == Section::Steps && !step.state.is_over());
    assert!(!busy, "{id} is undone while something else goes on");
}

/// An operator decided it about a step that did not ask.
fn is_dealt_with(event: &Event) -> bool {
    matches!(
        event,
        Event::StepSkipped { reason: SkipReason::ByOperator { .. }, .. }
            | Event::SkipScheduled { .. }
            | Event::ResolvedByHand { reason: Some(_), .. }
            | Event::HandsReported { reason: Some(_), .. }
    )
}

/// Only an event that says so makes something due that was not: what an engine that stops may still record begins nothing.
pub(crate) fn beginning(event: &Event, before: &[Effect], after: &[Effect]) {
    let is_there = |effect: &Effect| before.iter().any(|other| is_same(effect, other));
    let counts = |effect: &&Effect| !matches!(effect, Effect::WakeAt(_) | Effect::ExpiresAt(_) | Effect::Hold);
    let new = after.iter().filter(counts).find(|effect| !is_there(effect));
    // A run that goes on asks again what it had asked before it was about to end.
    let asked_before = matches!(new, Some(Effect::Ask { .. })) && (is_dealt_with(event) || is_reopening(event));
    assert_eq!(new.is_some() && !asked_before, event.begins_something(), "{event:?} begins {new:?}");
}

fn is_reopening(event: &Event) -> bool {
    matches!(event, Event::StepsReopened { .. })
}

/// Whether it is the same in flight: a deadline may move, and a question may be put in other words.
fn is_same(one: &Effect, other: &Effect) -> bool {
    match (one, other) {
        (Effect::Invoke(one), Effect::Invoke(other)) => {
            (&one.step, one.attempt, one.purpose) == (&other.step, other.attempt, other.purpose)
        }
        (Effect::Ask { step: one, .. }, Effect::Ask { step: other, .. }) => one == other,
        _ => false,
    }
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
            Effect::WakeAt(at) | Effect::ExpiresAt(at) => {
                let events = decide(plan, run, &Input::Tick, now.max(*at));
                assert!(!events.is_empty(), "the wake-up at {at} changes nothing: {run:#?}");
            }
            Effect::Ask { .. } | Effect::Hold => {}
        }
    }
}

/// What happened before the handlers began, or after the run continued behind them.
fn recovery<'j>(plan: &Plan, journal: &'j Journal) -> Vec<&'j Event> {
    // A handler may ask for work by hand, and whoever did it may say why.
    let goes_on = |event: &Event| {
        let own = event.step().is_none_or(|step| plan.steps[place_of(plan, step)].section == Section::Steps);
        is_reopening(event) || is_dealt_with(event) && own
    };
    let (mut handling, mut over) = (false, false);
    let mut found = Vec::new();
    for (_, event) in journal {
        handling = match event {
            Event::HandlersBegan { .. } => true,
            // What a run did that is over is undone.
            Event::AbortRequested { .. } if over => false,
            event if goes_on(event) => false,
            _ => handling,
        };
        over = matches!(event, Event::RunFinished { .. });
        found.extend((!handling).then_some(event));
    }
    found
}

/// Whether nobody knows what the attempts of the step left.
fn may_have_left_something(journal: &Journal, id: &StepId) -> bool {
    let mut unknown = false;
    for (_, event) in journal.iter().filter(|(_, event)| event.step() == Some(id)) {
        match event {
            Event::AttemptInterrupted { .. } => unknown = true,
            Event::AttemptFailed { failure, .. } if failure.kind() == FailureKind::Interrupted => unknown = true,
            Event::ObservedNotDone { .. } => unknown = false,
            _ => {}
        }
    }
    unknown
}

/// The outcome says no more than the steps do.
pub(crate) fn outcome(plan: &Plan, world: &World<'_>) {
    let outcome = world.run.outcome().expect("a finished run");
    let states = || world.run.steps.iter().map(|step| &step.state);
    let recovery = recovery(plan, &world.journal);
    let good = |state: &StepState| {
        let unneeded = matches!(
            state,
            StepState::Skipped { reason: SkipReason::NothingFailed | SkipReason::DoneBefore | SkipReason::NotAsked }
        );
        let was_done = |known_by: &KnownBy| *known_by != KnownBy::NoItems;
        unneeded || matches!(state, StepState::Succeeded { known_by, .. } if was_done(known_by))
    };
    let cut_off = |event: &Event| matches!(event, Event::AbortRequested { undo: false, .. });
    let to_be_undone = |event: &Event| matches!(event, Event::AbortRequested { undo: true, .. });
    let any = |wanted: &dyn Fn(&Event) -> bool| recovery.iter().any(|event| wanted(event));
    // What somebody ended may be undone afterwards: the last word counts.
    let last_word = recovery.iter().rev().find(|event| matches!(event, Event::AbortRequested { .. }));
    let is_cut_off = last_word.is_some_and(|event| cut_off(event));
    assert!(!is_cut_off || outcome == Outcome::Aborted);
    assert!(outcome != Outcome::Aborted || is_cut_off || is_dry(&world.run) && any(&to_be_undone));
    assert!(!any(&to_be_undone) || !matches!(outcome, Outcome::Succeeded | Outcome::SucceededWithExceptions));
    match outcome {
        Outcome::Succeeded => assert!(states().all(good)),
        Outcome::SucceededWithExceptions => {
            assert!(states().any(|state| !good(state)));
            // The items of a list stay as they were where somebody has dealt with its step.
            let planned = &world.run.steps[..plan.steps.len()];
            let mut main = planned.iter().filter(|step| step.section == Section::Steps);
            assert!(main.all(|step| !matches!(step.state, StepState::Cancelled | StepState::Undone)));
        }
        Outcome::RolledBack => {
            assert!(states().all(|state| !matches!(state, StepState::UndoFailed { .. })));
            let left = |step: &&StepRun| {
                let planned = &plan.steps[place_of(plan, &step.id)];
                let list = planned.each.is_some() && step.id == planned.id;
                matches!(step.state, StepState::Succeeded { .. }) && planned.undo.is_some() && !list
            };
            let left = world.run.steps.iter().find(left);
            assert_eq!(left, None, "a step that has an undo was not taken back");
            for step in world.run.steps.iter().filter(|step| plan.steps[place_of(plan, &step.id)].undo.is_some()) {
                let taken_back = matches!(step.state, StepState::Undone);
                assert!(taken_back || !may_have_left_something(&world.journal, &step.id), "{} is left", step.id);
            }
        }
        Outcome::Failed | Outcome::Aborted | Outcome::DryRun => {}
    }
    if is_dry(&world.run) {
        assert!(!matches!(outcome, Outcome::Succeeded | Outcome::SucceededWithExceptions), "{outcome:?}");
    } else {
        assert_ne!(outcome, Outcome::DryRun);
    }
    // A run that failed may be told more before it continues.
    let told = |event: &Event| is_dealt_with(event) && outcome == Outcome::Failed;
    let last = world.journal.iter().rev().map(|(_, event)| event).find(|event| !told(event));
    assert!(matches!(last, Some(Event::RunFinished { .. })), "{last:?}");
}
