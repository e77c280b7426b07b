//! Single decisions that matter most, spelled out.

use jiff::SignedDuration;
use lifeboat_core::{
    decide::decide,
    event::{Event, Mode, Outcome, Person, SkipReason},
    expression::{Expression, Template},
    failure::{Failure, HELD_BACK, Reason},
    input::{Done, Effect, Input, Observation, Purpose},
    plan::{Invocation, OnFailure, Plan, Retry, Step, StepKind},
    run::{Run, StepState},
};
use serde_json::{Value, json};

use crate::{
    plans::{approve, id, invocation, plan_of, step},
    world::{beginning, start},
};

/// What follows from each input, as the words of the events.
pub(crate) fn story(plan: &Plan, inputs: &[Input]) -> Vec<String> {
    story_in(Mode::Real, plan, inputs).0
}

/// As [`story`], and the state at its end.
pub(crate) fn story_in(mode: Mode, plan: &Plan, inputs: &[Input]) -> (Vec<String>, Run) {
    let mut run = Run::new(plan);
    let mut now = start();
    let begin = Input::Start(Box::new(beginning(plan, mode)));
    let mut told = Vec::new();
    for input in std::iter::once(&begin).chain(inputs) {
        for event in decide(plan, &run, input, now) {
            run.apply(now, &event).expect("a legal event");
            told.push(word(&event));
        }
        now += SignedDuration::from_secs(60);
    }
    (told, run)
}

fn word(event: &Event) -> String {
    let name: String = format!("{event:?}").chars().take_while(|c| c.is_alphanumeric()).collect();
    match (event, event.step()) {
        (Event::RunFinished { outcome }, _) => format!("{name} {outcome:?}"),
        (_, Some(step)) => format!("{name} {step}"),
        _ => name,
    }
}

pub(crate) fn uses(place: usize, idempotent: bool, observable: bool) -> Step {
    let needs = place.checked_sub(1).into_iter().collect();
    step(place, needs, StepKind::Uses(invocation(idempotent, observable)))
}

pub(crate) fn answer(place: usize, attempt: u32, answer: Result<(), Failure>) -> Input {
    let done = |()| Done { outputs: json!({}), summary: String::new() };
    Input::Answered { step: id(place), attempt, purpose: Purpose::Run, answer: answer.map(done) }
}

pub(crate) fn transient() -> Failure {
    Failure::Transient(Reason::new("test", "test"))
}

#[test]
fn a_chain_runs_to_its_end() {
    let plan = plan_of(vec![uses(0, true, false), uses(1, true, false)]);
    assert_eq!(
        story(&plan, &[answer(0, 1, Ok(())), answer(1, 1, Ok(()))]),
        [
            "RunStarted",
            "StepStarted s0",
            "StepSucceeded s0",
            "StepStarted s1",
            "StepSucceeded s1",
            "RunFinished Succeeded"
        ]
    );
}

#[test]
fn a_passing_failure_is_tried_again_as_often_as_the_author_says() {
    let retry = Retry { attempts: 2, ..Retry::default() };
    let plan = plan_of(vec![Step { retry, ..uses(0, true, false) }]);
    assert_eq!(
        story(&plan, &[answer(0, 1, Err(transient())), Input::Tick, answer(0, 2, Err(transient()))])[2..],
        [
            "AttemptFailed s0",
            "RetryScheduled s0",
            "StepStarted s0",
            "AttemptFailed s0",
            "StepFailed s0",
            "RunFinished Failed"
        ]
    );
}

#[test]
fn an_interrupted_attempt_is_repeated_observed_or_asked_about() {
    let interrupted = Input::Interrupted { step: id(0) };
    for (idempotent, observable, wanted) in [
        (true, false, vec!["RetryScheduled s0", "StepStarted s0"]),
        (true, true, vec!["RetryScheduled s0", "StepStarted s0"]),
        (false, true, vec!["ObservationStarted s0"]),
        (false, false, vec!["OperatorAsked s0"]),
    ] {
        let plan = plan_of(vec![uses(0, idempotent, observable)]);
        let told = story(&plan, std::slice::from_ref(&interrupted));
        assert_eq!(told[2], "AttemptInterrupted s0");
        let follow: Vec<_> =
            told[3..].iter().filter(|word| !word.starts_with("RetryScheduled") || idempotent).collect();
        assert_eq!(follow, wanted.iter().collect::<Vec<_>>(), "{idempotent} {observable}");
    }
}

#[test]
fn a_time_out_of_what_cannot_be_repeated_is_looked_into() {
    let timeout = Some(SignedDuration::from_secs(30));
    let retry = || Retry { attempts: 3, ..Retry::default() };
    let plan = plan_of(vec![Step { timeout, retry: retry(), ..uses(0, false, true) }]);
    let observed = |observation| Input::Observed { step: id(0), attempt: 1, observation: Ok(observation) };
    assert_eq!(
        story(&plan, &[Input::Tick, observed(Observation::NotDone)])[2..],
        ["AttemptFailed s0", "ObservationStarted s0", "ObservedNotDone s0", "StepStarted s0"]
    );
    let plan = plan_of(vec![Step { timeout, retry: retry(), ..uses(0, true, false) }]);
    assert_eq!(story(&plan, &[Input::Tick])[2..], ["AttemptFailed s0", "RetryScheduled s0"]);
}

#[test]
fn a_question_stands_until_its_time_is_over_and_no_clock_but_that_of_whoever_asks_counts() {
    let timeout = Some(SignedDuration::from_secs(30));
    let approve = approve("yes?");
    let plan = plan_of(vec![Step { timeout, ..step(0, Vec::new(), approve) }]);
    let unanswered = Input::Unanswered { step: id(0) };
    assert_eq!(
        story(&plan, &[Input::Tick, Input::Tick, unanswered.clone(), unanswered])[1..],
        ["ApprovalRequested s0", "StepFailed s0", "RunFinished Failed"]
    );
    let mut run = Run::new(&plan);
    for event in decide(&plan, &run, &Input::Start(Box::new(beginning(&plan, Mode::Real))), start()) {
        run.apply(start(), &event).expect("a legal event");
    }
    let due = lifeboat_core::due::due(&plan, &run, start());
    assert!(matches!(due[..], [Effect::Ask { within, .. }] if within == timeout), "{due:?}");
}

#[test]
fn a_decision_about_an_interrupted_attempt_is_waited_for_as_long_as_it_takes() {
    let timeout = Some(SignedDuration::from_secs(30));
    let plan = plan_of(vec![Step { timeout, ..uses(0, false, false) }]);
    let inputs = [Input::Interrupted { step: id(0) }, Input::Tick, Input::Unanswered { step: id(0) }];
    assert_eq!(story(&plan, &inputs)[2..], ["AttemptInterrupted s0", "OperatorAsked s0"]);
}

#[test]
fn a_failure_may_be_survived_or_undone() {
    let failed = || answer(1, 1, Err(Failure::Permanent(Reason::new("test", "test"))));
    let undone = Input::Answered {
        step: id(0),
        attempt: 1,
        purpose: Purpose::Undo,
        answer: Ok(Done { outputs: json!({}), summary: String::new() }),
    };
    let undo = Some(invocation(true, false));
    let first = Step { undo, ..uses(0, true, false) };
    let plan = plan_of(vec![
        first.clone(),
        Step { on_failure: OnFailure::Undo, ..uses(1, true, false) },
        uses(2, true, false),
    ]);
    assert_eq!(
        story(&plan, &[answer(0, 1, Ok(())), failed(), undone])[4..],
        [
            "AttemptFailed s1",
            "StepFailed s1",
            "StepCancelled s2",
            "UndoBegan",
            "UndoStarted s0",
            "StepUndone s0",
            "RunFinished RolledBack",
        ]
    );
    let plan =
        plan_of(vec![first, Step { on_failure: OnFailure::Continue, ..uses(1, true, false) }, uses(2, true, false)]);
    assert_eq!(
        story(&plan, &[answer(0, 1, Ok(())), failed()])[4..],
        ["AttemptFailed s1", "StepFailed s1", "StepSkipped s2", "RunFinished SucceededWithExceptions"]
    );
}

#[test]
fn outcomes_are_what_the_table_says() {
    let plan = plan_of(vec![uses(0, true, false)]);
    let abort = Input::Abort { who: Person::Engine, reason: "test".to_owned() };
    assert_eq!(
        story(&plan, &[abort])[2..],
        ["AbortRequested".to_owned(), "StepCancelled s0".to_owned(), format!("RunFinished {:?}", Outcome::Aborted)]
    );
}

#[test]
fn a_journal_cut_off_while_the_run_stops_is_completed_at_once() {
    let retry = Retry { attempts: 2, ..Retry::default() };
    let alone = |place| Step { needs: Vec::new(), ..uses(place, true, false) };
    let plan = plan_of(vec![alone(0), Step { retry, ..alone(1) }, alone(2)]);
    let mut run = Run::new(&plan);
    let begin = Input::Start(Box::new(beginning(&plan, Mode::Real)));
    let permanent = Failure::Permanent(Reason::new("test", "test"));
    let mut last = None;
    for input in [begin, answer(1, 1, Err(transient())), answer(0, 1, Err(permanent))] {
        let mut events = decide(&plan, &run, &input, start());
        last = events.pop();
        events.iter().for_each(|event| run.apply(start(), event).expect("a legal event"));
        if !matches!(last, Some(Event::StepFailed { .. })) {
            run.apply(start(), &last.take().expect("an event")).expect("a legal event");
        }
    }
    assert_eq!(last.as_ref().map(word), Some("StepFailed s1".to_owned()));
    let effects = lifeboat_core::due::due(&plan, &run, start());
    assert!(effects.contains(&Effect::WakeAt(start())), "{effects:?}");
    assert_eq!(decide(&plan, &run, &Input::Tick, start()).first(), last.as_ref());
}

/// A step that gives its action these parameters.
fn with(place: usize, parameters: &[(&str, Value)]) -> Step {
    let with = parameters.iter().map(|(name, value)| ((*name).to_owned(), Template::new(value.clone()))).collect();
    step(
        place,
        place.checked_sub(1).into_iter().collect(),
        StepKind::Uses(Invocation { with, ..invocation(false, true) }),
    )
}

fn asks(place: usize, message: &str) -> Step {
    step(place, vec![place - 1], approve(message))
}

#[test]
fn a_dry_run_goes_on_behind_what_it_may_not_do() {
    let unknown = "${{ steps.s0.outputs.xid }}";
    let condition = Some(Expression::new("steps.s1.outputs.rows > 0"));
    let plan = plan_of(vec![
        with(0, &[("table", json!("orders"))]),
        with(1, &[("table", json!("orders")), ("target", json!({ "xid": [unknown] }))]),
        asks(2, "Put ${{ steps.s1.outputs.rows }} rows back?"),
        asks(3, "Is ${{ run.id }} well?"),
        Step { when: condition, ..with(4, &[]) },
        with(5, &[]),
    ]);
    let held_back = Failure::Denied(Reason::new(HELD_BACK, "test"));
    let inputs = [answer(0, 1, Err(held_back.clone())), answer(5, 1, Ok(()))];
    let (told, run) = story_in(Mode::DryRun, &plan, &inputs);
    assert_eq!(
        told[1..],
        [
            "StepStarted s0",
            "AttemptFailed s0",
            "StepSkipped s0",
            "StepSkipped s1",
            "StepSkipped s2",
            "StepSkipped s3",
            "StepSkipped s4",
            "StepStarted s5",
            "StepSucceeded s5",
            "RunFinished DryRun"
        ]
    );
    let reason = |place: usize| match &run.steps[place].state {
        StepState::Skipped { reason } => reason.clone(),
        other => panic!("s{place} is {other:?}"),
    };
    let not_known = |parameters, unknown: &str| SkipReason::NotKnown { parameters, unknown: vec![unknown.to_owned()] };
    assert_eq!(reason(0), SkipReason::WouldRun { parameters: json!({ "table": "orders" }) });
    let as_far_as_known = json!({ "table": "orders", "target": { "xid": [unknown] } });
    assert_eq!(reason(1), not_known(as_far_as_known, "steps.s0.outputs.xid"));
    let message = json!({ "message": "Put ${{ steps.s1.outputs.rows }} rows back?" });
    assert_eq!(reason(2), not_known(message, "steps.s1.outputs.rows"));
    assert_eq!(reason(3), SkipReason::WouldAsk { message: "Is t-1 well?".to_owned() });
    assert_eq!(reason(4), not_known(json!({}), "steps.s1.outputs.rows"));

    // In earnest the same refusal is a failure like any other.
    let (told, _) = story_in(Mode::Real, &plan, &[answer(0, 1, Err(held_back))]);
    assert_eq!(told[2..4], ["AttemptFailed s0", "StepFailed s0"]);
}

#[test]
fn only_a_question_that_need_not_be_asked_leaves_nothing_undone() {
    let never = || Some(Expression::new("1 > 2"));
    let check = |step: Step, expect: &str| {
        let plan = plan_of(vec![uses(0, true, false), step, uses(2, true, false)]);
        let (told, _) = story_in(Mode::Real, &plan, &[answer(0, 1, Ok(())), answer(2, 1, Ok(()))]);
        assert_eq!(told.last().map(String::as_str), Some(expect), "{told:?}");
        assert!(told.contains(&"StepSkipped s1".to_owned()), "{told:?}");
    };
    check(Step { when: never(), ..asks(1, "Go on?") }, "RunFinished Succeeded");
    check(Step { when: never(), ..with(1, &[]) }, "RunFinished SucceededWithExceptions");
}

#[test]
fn a_dry_run_that_was_cut_off_tries_again_and_takes_nothing_back() {
    let undo = Some(invocation(true, false));
    let plan = plan_of(vec![
        Step { undo, ..uses(0, false, false) },
        Step { on_failure: OnFailure::Undo, ..uses(1, false, false) },
    ]);
    let interrupted = Input::Interrupted { step: id(0) };
    let failed = answer(1, 1, Err(Failure::Permanent(Reason::new("test", "test"))));
    let (told, _) = story_in(Mode::DryRun, &plan, &[interrupted, answer(0, 2, Ok(())), failed]);
    assert_eq!(
        told[1..],
        [
            "StepStarted s0",
            "AttemptInterrupted s0",
            "RetryScheduled s0",
            "StepStarted s0",
            "StepSucceeded s0",
            "StepStarted s1",
            "AttemptFailed s1",
            "StepFailed s1",
            "RunFinished Failed"
        ]
    );
}

#[test]
fn a_failure_behind_what_a_dry_run_left_out_says_nothing_but_a_guard_does() {
    let plan = plan_of(vec![uses(0, true, false), uses(1, true, false), uses(2, true, false), uses(3, true, false)]);
    let reason = || Reason::new("test", "test");
    let held_back = Failure::Denied(Reason::new(HELD_BACK, "test"));
    let inputs = [
        answer(0, 1, Ok(())),
        answer(1, 1, Err(held_back)),
        answer(2, 1, Err(Failure::Permanent(reason()))),
        answer(3, 1, Err(Failure::Denied(reason()))),
    ];
    let (told, run) = story_in(Mode::DryRun, &plan, &inputs);
    assert_eq!(
        told[7..],
        [
            "AttemptFailed s2",
            "StepSkipped s2",
            "StepStarted s3",
            "AttemptFailed s3",
            "StepFailed s3",
            "RunFinished Failed"
        ]
    );
    let behind = SkipReason::FailedBehind { step: id(1), failure: Failure::Permanent(reason()) };
    assert_eq!(run.steps[2].state, StepState::Skipped { reason: behind });
    let first = answer(0, 1, Err(Failure::Permanent(reason())));
    assert_eq!(story_in(Mode::DryRun, &plan, &[first]).0.last().map(String::as_str), Some("RunFinished Failed"));
}

#[test]
fn a_call_that_was_cut_off_has_not_run_out_of_time() {
    let beside = |place| {
        let timeout = Some(SignedDuration::from_secs(30));
        Step { needs: Vec::new(), timeout, ..uses(place, true, false) }
    };
    let plan = plan_of(vec![beside(0), beside(1)]);
    assert_eq!(
        story(&plan, &[Input::Interrupted { step: id(0) }, Input::Interrupted { step: id(1) }]),
        [
            "RunStarted",
            "StepStarted s0",
            "StepStarted s1",
            "AttemptInterrupted s0",
            "RetryScheduled s0",
            "StepStarted s0",
            "AttemptInterrupted s1",
            "RetryScheduled s1",
            "StepStarted s1",
        ]
    );
}
