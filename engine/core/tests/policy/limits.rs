//! Where something ends: how often a thing is tried, what is handed in and not taken, what a journal cannot say.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    decide::{CUT_OFF_MAX, ENGINE_ENDED_MAX, OBSERVATIONS_MAX, UNDO_ATTEMPTS_MAX, advance},
    event::{Event, KnownBy, Mode, OperatorAnswer, Outcome, Person},
    expression::Template,
    failure::{Failure, Reason},
    input::{Done, Input, Observation, Purpose},
    operator::Command,
    plan::{Invocation, OnFailure, Plan, Retry, Step, StepKind},
    run::{Awaiting, Run, StepState},
};
use serde_json::{Value, json};

use crate::{
    cases::{answer, story, story_in, transient, uses},
    operator::{skip, wants},
    plans::{id, invocation, plan_of, step},
    world::{beginning, start},
};

fn permanent() -> Failure {
    Failure::Permanent(Reason::new("test", "test"))
}

fn observed(attempt: u32, observation: Result<Observation, Failure>) -> Input {
    Input::Observed { step: id(0), attempt, observation }
}

fn undone(answer: Result<(), Failure>, attempt: u32) -> Input {
    let done = |()| Done { outputs: json!({}), summary: String::new() };
    Input::Answered { step: id(0), attempt, purpose: Purpose::Undo, answer: answer.map(done) }
}

fn count(told: &[String], word: &str) -> usize {
    told.iter().filter(|event| *event == word).count()
}

#[test]
fn a_plugin_that_cannot_be_asked_is_asked_a_few_times_and_then_a_person() {
    for passing in [transient(), Failure::Interrupted(Reason::new("test", "test"))] {
        let mut inputs = vec![Input::Interrupted { step: id(0) }];
        for _ in 0..OBSERVATIONS_MAX {
            inputs.extend([observed(1, Err(passing.clone())), Input::Tick]);
        }
        let told = story(&plan_of(vec![uses(0, false, true)]), &inputs);
        assert_eq!(count(&told, "ObservationStarted s0"), OBSERVATIONS_MAX as usize);
        assert_eq!(told.last().map(String::as_str), Some("OperatorAsked s0"));
    }
    let told = story(
        &plan_of(vec![uses(0, false, true)]),
        &[Input::Interrupted { step: id(0) }, observed(1, Err(permanent()))],
    );
    assert_eq!(told[4..], ["AttemptFailed s0", "OperatorAsked s0"]);
}

#[test]
fn a_new_interruption_is_a_new_question() {
    let mut inputs = vec![Input::Interrupted { step: id(0) }];
    for _ in 1..OBSERVATIONS_MAX {
        inputs.extend([observed(1, Err(transient())), Input::Tick]);
    }
    inputs.extend([observed(1, Ok(Observation::NotDone)), Input::Interrupted { step: id(0) }]);
    inputs.extend([observed(2, Err(transient())), Input::Tick]);
    let told = story(&plan_of(vec![uses(0, false, true)]), &inputs);
    assert_eq!(told.last().map(String::as_str), Some("ObservationStarted s0"), "{told:#?}");
}

#[test]
fn a_step_whose_engine_ends_again_and_again_goes_on_by_itself_for_its_time() {
    let kill = Input::Interrupted { step: id(0) };
    // An input a minute: one more than a day holds, counted from the first one.
    let day = usize::try_from(ENGINE_ENDED_MAX.as_mins()).expect("a day");
    let often = vec![kill.clone(); day];
    let harmless = plan_of(vec![uses(0, true, false)]);
    let told = story(&harmless, &often);
    assert_eq!(count(&told, "StepStarted s0"), day + 1);
    assert_eq!(count(&told, "OperatorAsked s0"), 0);
    let told = story(&harmless, &vec![kill.clone(); day + 1]);
    assert_eq!(told.last().map(String::as_str), Some("OperatorAsked s0"));

    let mut inputs = Vec::new();
    for attempt in 1..=100 {
        inputs.extend([kill.clone(), observed(attempt, Ok(Observation::NotDone)), Input::Tick]);
    }
    let told = story(&plan_of(vec![uses(0, false, true)]), &inputs);
    assert_eq!(count(&told, "StepStarted s0"), 101);
    // Three inputs an attempt, which is three minutes.
    for attempt in 101..=ENGINE_ENDED_MAX.as_mins() / 3 + 1 {
        let attempt = u32::try_from(attempt).expect("few");
        inputs.extend([kill.clone(), observed(attempt, Ok(Observation::NotDone)), Input::Tick]);
    }
    let told = story(&plan_of(vec![uses(0, false, true)]), &inputs);
    assert_eq!(told.last().map(String::as_str), Some("RunFinished Failed"));
}

#[test]
fn the_time_of_the_step_itself_ends_the_recoveries_where_it_has_one() {
    let limited = Step { time_limit: Some(SignedDuration::from_mins(30)), ..uses(0, true, false) };
    let told = story(&plan_of(vec![limited]), &vec![Input::Interrupted { step: id(0) }; 31]);
    assert_eq!(count(&told, "StepStarted s0"), 30);
    assert_eq!(told.last().map(String::as_str), Some("RunFinished Failed"));
}

/// When each attempt begins where the action ends its engine as soon as it runs, and somebody starts the engine again at once.
fn begins_where_each_attempt_ends_its_engine(plan: &Plan) -> (Vec<Timestamp>, Run) {
    let (mut run, mut now, mut begins) = (Run::new(plan), start(), Vec::new());
    let mut input = Input::Start(Box::new(beginning(plan, Mode::Real)));
    loop {
        advance(plan, &mut run, &input, now);
        input = match &run.steps[0].state {
            StepState::Running(attempt) => {
                begins.push(attempt.started);
                Input::Interrupted { step: id(0) }
            }
            StepState::Observing(attempt) => observed(attempt.number, Ok(Observation::NotDone)),
            StepState::BackingOff { until, .. } => {
                now = *until;
                Input::Tick
            }
            _ => return (begins, run),
        };
    }
}

#[test]
fn an_action_that_ends_its_engine_is_tried_at_most_once_a_minute_and_not_for_ever() {
    for (idempotent, observable) in [(true, false), (false, true)] {
        let (begins, run) = begins_where_each_attempt_ends_its_engine(&plan_of(vec![uses(0, idempotent, observable)]));
        let apart = begins.windows(2).map(|two| two[1].duration_since(two[0]).as_secs()).collect::<Vec<_>>();
        assert_eq!(apart[..10], [0, 0, 0, 1, 2, 4, 8, 16, 32, 60], "{idempotent} {observable}");
        assert!(apart[10..].iter().all(|apart| *apart == 60), "{idempotent} {observable}");
        let whole = begins[begins.len() - 1].duration_since(begins[0]);
        assert!(whole >= ENGINE_ENDED_MAX && whole < ENGINE_ENDED_MAX + SignedDuration::from_mins(2), "{whole}");
        let asks = matches!(&run.steps[0].state, StepState::Awaiting(Awaiting::Decision { reason, .. })
            if reason.code == "run-interrupted-often");
        assert_eq!((asks, run.outcome().is_some()), (idempotent, !idempotent), "{:?}", run.steps[0].state);
    }
}

#[test]
fn who_wants_a_step_again_gives_it_all_its_time() {
    let day = usize::try_from(ENGINE_ENDED_MAX.as_mins()).expect("a day");
    let mut inputs = vec![Input::Interrupted { step: id(0) }; day + 1];
    let again = OperatorAnswer::RunAgain;
    inputs.push(Input::Operator { step: id(0), who: Person::Engine, answer: again });
    inputs.extend(vec![Input::Interrupted { step: id(0) }; 20]);
    let told = story(&plan_of(vec![uses(0, true, false)]), &inputs);
    assert_eq!(told.last().map(String::as_str), Some("StepStarted s0"));
    assert_eq!(count(&told, "OperatorAsked s0"), 1);
}

#[test]
fn a_step_that_a_living_engine_always_cuts_off_has_failed_after_a_few_times() {
    let mut inputs = Vec::new();
    for attempt in 1..=CUT_OFF_MAX {
        let cut_off = Failure::Interrupted(Reason::new("test", "test"));
        inputs.extend([answer(0, attempt, Err(cut_off)), observed(attempt, Ok(Observation::NotDone))]);
    }
    let told = story(&plan_of(vec![uses(0, false, true)]), &inputs);
    assert_eq!(count(&told, "StepStarted s0"), CUT_OFF_MAX as usize);
    assert_eq!(told.last().map(String::as_str), Some("RunFinished Failed"));
}

/// A step with a way back, and one whose failure takes it.
fn taken_back(idempotent: bool) -> Plan {
    let undo = Some(invocation(idempotent, false));
    plan_of(vec![Step { undo, ..uses(0, true, false) }, Step { on_failure: OnFailure::Undo, ..uses(1, true, false) }])
}

#[test]
fn taking_back_is_tried_a_few_times() {
    let mut inputs = vec![answer(0, 1, Ok(())), answer(1, 1, Err(permanent()))];
    for attempt in 1..=UNDO_ATTEMPTS_MAX {
        inputs.extend([undone(Err(transient()), attempt), Input::Tick]);
    }
    let told = story(&taken_back(true), &inputs);
    assert_eq!(count(&told, "UndoStarted s0"), UNDO_ATTEMPTS_MAX as usize);
    assert_eq!(told[told.len() - 2..], ["UndoFailed s0", "RunFinished Failed"]);
}

#[test]
fn a_way_back_that_was_cut_off_is_gone_again_only_where_that_does_no_harm() {
    for (idempotent, expect) in [(true, "RetryScheduled s0"), (false, "UndoFailed s0")] {
        for cut_off in
            [undone(Err(Failure::Interrupted(Reason::new("test", "test"))), 1), Input::Interrupted { step: id(0) }]
        {
            let harmless = idempotent && matches!(cut_off, Input::Interrupted { .. });
            let told = story(&taken_back(idempotent), &[answer(0, 1, Ok(())), answer(1, 1, Err(permanent())), cut_off]);
            let at = told.iter().position(|event| event == "UndoStarted s0").expect("it is taken back");
            let follows: Vec<_> = told[at + 1..].iter().take(2).map(String::as_str).collect();
            let expect: &[&str] = if harmless { &[] } else { &["AttemptFailed s0", expect] };
            assert_eq!(follows, expect, "idempotent: {idempotent}");
        }
    }
}

/// Told for a step with a way back that is refused in its second attempt, after `first` became of its first one.
fn refused_after(first: Input, undo: Invocation, idempotent: bool) -> Vec<String> {
    let retry = Retry { attempts: 3, ..Retry::default() };
    let step = Step { retry, undo: Some(undo), on_failure: OnFailure::Undo, ..uses(0, idempotent, false) };
    let refused = Failure::Denied(Reason::new("test", "test"));
    story(&plan_of(vec![step]), &[first, Input::Tick, answer(0, 2, Err(refused))])
}

#[test]
fn what_an_earlier_attempt_may_have_left_is_taken_back_although_the_last_one_was_refused() {
    let undo = || invocation(true, false);
    let cut_off = || Input::Interrupted { step: id(0) };
    assert_eq!(count(&refused_after(cut_off(), undo(), true), "UndoStarted s0"), 1);
    let passing = || answer(0, 1, Err(transient()));
    assert_eq!(count(&refused_after(passing(), undo(), true), "UndoStarted s0"), 1);
    // What cannot be repeated is tried again only after a failure that left nothing.
    assert_eq!(count(&refused_after(passing(), undo(), false), "UndoStarted s0"), 0);

    let with = [("instance".to_owned(), Template::new("${{ steps.s0.outputs.instance }}"))].into();
    let told = refused_after(cut_off(), Invocation { with, ..undo() }, true);
    assert_eq!(told[told.len() - 3..], ["UndoBegan", "UndoFailed s0", "RunFinished Failed"]);
}

#[test]
fn what_a_step_may_have_left_is_taken_back_although_somebody_left_it_out_or_had_it_done_again() {
    let retry = Retry { attempts: 3, ..Retry::default() };
    let undo = Some(invocation(true, false));
    let first = Step { retry, undo, ..uses(0, true, false) };
    let plan = plan_of(vec![first, Step { on_failure: OnFailure::Undo, ..uses(1, true, false) }]);
    let failed = || answer(1, 1, Err(permanent()));
    let told = story(&plan, &[answer(0, 1, Err(transient())), skip(0), failed()]);
    assert_eq!(told[told.len() - 2..], ["UndoBegan", "UndoStarted s0"], "{told:#?}");
    let told = story(&plan, &[skip(0), failed()]);
    assert_eq!(count(&told, "UndoStarted s0"), 0, "what never began left nothing");

    let stops = Step { on_failure: OnFailure::Stop, ..plan.steps[1].clone() };
    let plan = plan_of(vec![plan.steps[0].clone(), stops]);
    let again = Command::Retry { steps: vec![id(0)], from: true, confirmed: true, reason: None };
    let abort = wants(Command::Abort { reason: None, undo: true });
    let refused = Failure::Denied(Reason::new("test", "test"));
    let told = story(&plan, &[answer(0, 1, Ok(())), failed(), wants(again), abort, answer(0, 2, Err(refused))]);
    assert_eq!(told[told.len() - 2..], ["UndoBegan", "UndoStarted s0"], "{told:#?}");
}

#[test]
fn a_way_back_and_a_check_that_are_gone_again_have_time_of_their_own() {
    let timeout = Some(SignedDuration::from_mins(10));
    let undo = Some(invocation(true, false));
    let back = plan_of(vec![
        Step { undo, timeout, ..uses(0, true, false) },
        Step { on_failure: OnFailure::Undo, ..uses(1, true, false) },
    ]);
    let verify = Some(invocation(true, false));
    let kind = StepKind::Manual { instruction: Template::new("x"), evidence: BTreeMap::new(), verify };
    let check = plan_of(vec![Step { timeout, ..step(0, Vec::new(), kind) }]);
    let hands = Input::Hands { step: id(0), who: Person::Engine, evidence: json!({}) };
    let lost = answer(1, 1, Err(permanent()));
    for (plan, inputs) in [(back, vec![answer(0, 1, Ok(())), lost]), (check, vec![hands])] {
        let mut run = Run::new(&plan);
        let begin = Input::Start(Box::new(beginning(&plan, Mode::Real)));
        for input in std::iter::once(&begin).chain(&inputs) {
            advance(&plan, &mut run, input, start());
        }
        // The engine comes back hours later, and dies again and again: that costs the way back nothing.
        for hours in 1..=5 {
            let now = start() + SignedDuration::from_hours(hours);
            let events = advance(&plan, &mut run, &Input::Interrupted { step: id(0) }, now);
            let deadline = match events.as_slice() {
                [Event::StepStarted { deadline, .. } | Event::UndoStarted { deadline, .. }] => *deadline,
                other => panic!("{other:#?}"),
            };
            assert_eq!(deadline, Some(now + SignedDuration::from_mins(10)));
            assert_eq!(advance(&plan, &mut run, &Input::Tick, now), [], "its time is not over");
        }
        let purpose = if run.find(&id(0)).unwrap().undo_attempts > 0 { Purpose::Undo } else { Purpose::Verify };
        let done = Done { outputs: json!({}), summary: String::new() };
        let answered = |attempt, answer| Input::Answered { step: id(0), attempt, purpose, answer };
        let now = start() + SignedDuration::from_hours(5);
        assert_eq!(advance(&plan, &mut run, &answered(1, Ok(done.clone())), now), [], "that one was cut off");
        advance(&plan, &mut run, &answered(6, Err(transient())), now);
        assert!(!run.find(&id(0)).unwrap().state.is_over(), "the first failure is not the last one: {run:#?}");
    }
}

#[test]
fn what_failed_is_taken_back_where_it_may_have_begun() {
    let own = |failure: Failure| {
        let undo = Some(invocation(true, false));
        let plan = plan_of(vec![Step { undo, on_failure: OnFailure::Undo, ..uses(0, true, false) }]);
        let told = story(&plan, &[answer(0, 1, Err(failure))]);
        count(&told, "UndoStarted s0") == 1
    };
    let reason = || Reason::new("test", "test");
    assert!(own(Failure::Permanent(reason())));
    assert!(own(Failure::Interrupted(reason())));
    assert!(!own(Failure::Denied(reason())), "a guard let nothing begin");
    assert!(!own(Failure::InvalidInput(reason())));

    // One that never started, because its parameters have no value, needs no way back.
    let with = [("table".to_owned(), Template::new("${{ inputs.nothing }}"))].into();
    let kind = StepKind::Uses(Invocation { with, ..invocation(true, false) });
    let undo = Some(invocation(true, false));
    let plan = plan_of(vec![Step { undo, on_failure: OnFailure::Undo, ..step(0, Vec::new(), kind) }]);
    assert_eq!(story(&plan, &[])[1..], ["StepFailed s0", "UndoBegan", "RunFinished RolledBack"]);

    // Where nobody knows how far it came, a way back that cannot be gone is no silence.
    let with = [("instance".to_owned(), Template::new("${{ steps.s0.outputs.instance }}"))].into();
    let undo = Some(Invocation { with, ..invocation(true, false) });
    let plan = plan_of(vec![Step { undo, on_failure: OnFailure::Undo, ..uses(0, true, false) }]);
    let told = story(&plan, &[answer(0, 1, Err(Failure::Interrupted(reason())))]);
    assert_eq!(told[told.len() - 2..], ["UndoFailed s0", "RunFinished Failed"]);
}

#[test]
fn rendered_parameters_have_their_declared_types() {
    let with = [("rows".to_owned(), Template::new("many"))].into();
    let parameters = [("rows".to_owned(), lifeboat_core::types::Type::Int)].into();
    let kind = StepKind::Uses(Invocation { with, parameters, ..invocation(true, false) });
    let (told, run) = story_in(Mode::Real, &plan_of(vec![step(0, Vec::new(), kind)]), &[]);
    assert_eq!(told[1..], ["StepFailed s0", "RunFinished Failed"]);
    assert!(matches!(&run.steps[0].state, StepState::Failed { failure } if failure.reason().code == "run-render"));
}

/// A step by hand that wants a ticket, and an action that looks whether it was done.
fn by_hand(attempts: u32) -> Plan {
    let evidence = [("ticket".to_owned(), lifeboat_core::types::Type::String)].into();
    let verify = Some(invocation(true, false));
    let kind = StepKind::Manual { instruction: Template::new("Call them"), evidence, verify };
    plan_of(vec![Step { retry: Retry { attempts, ..Retry::default() }, ..step(0, Vec::new(), kind) }])
}

fn handed_in(evidence: Value) -> Input {
    Input::Hands { step: id(0), who: Person::Engine, evidence }
}

fn verified(attempt: u32, answer: Result<(), Failure>) -> Input {
    let done = |()| Done { outputs: json!({}), summary: String::new() };
    Input::Answered { step: id(0), attempt, purpose: Purpose::Verify, answer: answer.map(done) }
}

#[test]
fn what_is_handed_in_is_taken_when_it_is_all_there() {
    for wrong in [json!({}), json!({ "ticket": 7 })] {
        let told = story(&by_hand(1), &[handed_in(wrong)]);
        assert_eq!(told[1..], ["HandsRequested s0", "HandsReported s0", "HandsRequested s0"]);
    }
    let good = || handed_in(json!({ "ticket": "OPS-1" }));
    let told = story(&by_hand(1), &[good(), verified(1, Ok(()))]);
    let expect = ["StepStarted s0", "ResolvedByHand s0", "RunFinished SucceededWithExceptions"];
    assert_eq!(told[3..], expect);
    // What was not done is asked for again, with the attempts of the check counted anew.
    let inputs = [good(), verified(1, Err(transient())), Input::Tick, verified(2, Err(transient()))];
    let again = [good(), verified(3, Err(transient()))];
    let told = story(&by_hand(2), &[&inputs[..], &again].concat());
    let asked = told.iter().rposition(|event| event == "HandsRequested s0").expect("it is asked again");
    assert_eq!(told[asked + 1..], ["HandsReported s0", "StepStarted s0", "AttemptFailed s0", "RetryScheduled s0"]);
}

#[test]
fn a_check_that_cannot_be_repeated_is_not_taken_for_done_where_it_was_cut_off() {
    let verify = Some(invocation(false, false));
    let kind = StepKind::Manual { instruction: Template::new("Call them"), evidence: Default::default(), verify };
    let plan = plan_of(vec![step(0, Vec::new(), kind)]);
    let told = story(&plan, &[handed_in(json!({})), Input::Interrupted { step: id(0) }]);
    assert_eq!(told[4..], ["AttemptFailed s0", "HandsRequested s0"]);
}

#[test]
fn a_run_that_ends_tries_nothing_again() {
    let retry = || Retry { attempts: 3, ..Retry::default() };
    let alone = |place, idempotent| Step { needs: Vec::new(), retry: retry(), ..uses(place, idempotent, false) };
    let plan = plan_of(vec![alone(0, true), Step { retry: Retry::default(), ..alone(1, true) }]);
    let failed = answer(1, 1, Err(permanent()));
    let told = story(&plan, &[failed.clone(), answer(0, 1, Err(transient()))]);
    assert_eq!(told[5..], ["AttemptFailed s0", "StepFailed s0", "RunFinished Failed"]);
    let told = story(&plan, &[failed, Input::Interrupted { step: id(0) }]);
    assert_eq!(told[5..], ["AttemptInterrupted s0", "StepFailed s0", "RunFinished Failed"]);
}

#[test]
fn a_failure_while_the_run_stops_may_still_take_everything_back() {
    let alone = |place, on_failure| Step { needs: Vec::new(), on_failure, ..uses(place, true, false) };
    let undo = Some(invocation(true, false));
    let plan =
        plan_of(vec![Step { undo, ..alone(0, OnFailure::Stop) }, alone(1, OnFailure::Stop), alone(2, OnFailure::Undo)]);
    let told = story(&plan, &[answer(0, 1, Ok(())), answer(1, 1, Err(permanent())), answer(2, 1, Err(permanent()))]);
    assert_eq!(told[told.len() - 2..], ["UndoBegan", "UndoStarted s0"]);
}

#[test]
fn a_journal_cannot_say_what_cannot_have_happened() {
    let plan = plan_of(vec![uses(0, false, true), uses(1, true, false)]);
    let (_, running) = story_in(Mode::Real, &plan, &[]);
    let done = |attempt, known_by| Event::StepSucceeded {
        step: id(0),
        attempt,
        outputs: json!({}),
        summary: String::new(),
        known_by,
    };
    let failed = |attempt| Event::AttemptFailed { step: id(0), attempt, failure: transient() };
    let started =
        |place, attempt| Event::StepStarted { step: id(place), attempt, parameters: Value::Null, deadline: None };
    check(
        &running,
        &[done(1, KnownBy::Answer), failed(1), Event::AttemptInterrupted { step: id(0), attempt: 1 }],
        true,
    );
    let (who, answer) = (Person::Engine, OperatorAnswer::GiveUp);
    check(
        &running,
        &[
            done(2, KnownBy::Answer),
            done(1, KnownBy::Observation),
            done(0, KnownBy::Approval),
            done(1, KnownBy::Operator),
            failed(0),
            failed(2),
            started(0, 2),
            started(1, 2),
            Event::AttemptInterrupted { step: id(0), attempt: 2 },
            Event::ObservationStarted { step: id(0), attempt: 1 },
            Event::OperatorAnswered { step: id(0), who, answer, reason: None },
            Event::StepUndone { step: id(0) },
            Event::UndoBegan,
            Event::RunFinished { outcome: Outcome::Succeeded },
        ],
        false,
    );

    let (_, observing) = story_in(Mode::Real, &plan, &[Input::Interrupted { step: id(0) }]);
    let not_done = |attempt| Event::ObservedNotDone { step: id(0), attempt };
    check(&observing, &[done(1, KnownBy::Observation), not_done(1)], true);
    check(&observing, &[done(2, KnownBy::Observation), not_done(2), done(1, KnownBy::Answer)], false);

    // A run that stops starts nothing more, and is over as it must be.
    let alone = plan_of(vec![uses(0, true, false), Step { needs: Vec::new(), ..uses(1, true, false) }]);
    let mut stopping = story_in(Mode::Real, &alone, &[]).1;
    stopping.apply(start(), &failed(1)).expect("a legal event");
    stopping.apply(start(), &Event::StepFailed { step: id(0), failure: transient() }).expect("a legal event");
    let mut waiting = stopping.clone();
    waiting.steps[1].state = StepState::Waiting;
    waiting.steps[1].attempts = 0;
    check(&waiting, &[Event::StepCancelled { step: id(1) }], true);
    check(&waiting, &[started(1, 1), Event::UndoBegan], false);
}

#[track_caller]
fn check(run: &Run, events: &[Event], legal: bool) {
    for event in events {
        let mut run = run.clone();
        assert_eq!(run.apply(start(), event).is_ok(), legal, "{event:?}");
    }
}
