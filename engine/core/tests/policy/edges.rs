//! What is in flight at the edges, and the last things that a journal cannot say.

use jiff::SignedDuration;
use lifeboat_core::{
    due::due,
    event::{Event, KnownBy, Mode, Person},
    failure::{Failure, Reason},
    input::{Effect, Input, Purpose},
    plan::{OnFailure, Plan, Retry, Step, StepKind},
    run::Run,
};
use serde_json::json;

use crate::{
    cases::{answer, story, story_in, uses},
    plans::{approve, id, invocation, plan_of, step},
    world::start,
};

fn asks() -> StepKind {
    approve("yes?")
}

fn state(plan: &Plan, inputs: &[Input]) -> Run {
    story_in(Mode::Real, plan, inputs).1
}

#[test]
fn a_call_is_woken_at_its_deadline() {
    let timeout = SignedDuration::from_secs(30);
    let plan = plan_of(vec![Step { timeout: Some(timeout), ..uses(0, true, false) }]);
    let effects = due(&plan, &state(&plan, &[]), start());
    assert!(matches!(&effects[0], Effect::Invoke(call) if call.deadline == Some(start() + timeout)), "{effects:?}");
    assert_eq!(effects[1..], [Effect::WakeAt(start() + timeout)]);
}

#[test]
fn a_plugin_has_five_minutes_to_find_out() {
    let plan = plan_of(vec![uses(0, false, true)]);
    let effects = due(&plan, &state(&plan, &[Input::Interrupted { step: id(0) }]), start());
    let [Effect::Invoke(call), Effect::WakeAt(at)] = &effects[..] else { panic!("{effects:?}") };
    // The interruption came a minute after the start.
    let until = start() + SignedDuration::from_mins(6);
    assert_eq!((call.purpose, call.deadline, *at), (Purpose::Observe, Some(until), until));
}

#[test]
fn nothing_is_in_flight_in_a_run_that_somebody_ended() {
    let plan = plan_of(vec![uses(0, true, false)]);
    let mut run = state(&plan, &[]);
    let abort = Event::AbortRequested { who: Person::Engine, reason: "test".to_owned(), undo: false };
    run.apply(start(), &abort).expect("a legal event");
    assert_eq!(due(&plan, &run, start()), [Effect::WakeAt(start())], "only the event that says so is owed");
}

#[test]
fn what_can_be_repeated_is_tried_again_where_it_was_cut_off_as_after_a_passing_failure() {
    let retry = Retry { attempts: 2, ..Retry::default() };
    let plan = plan_of(vec![Step { retry, ..uses(0, true, false) }]);
    let cut_off = Failure::Interrupted(Reason::new("test", "test"));
    assert_eq!(story(&plan, &[answer(0, 1, Err(cut_off))])[2..], ["AttemptFailed s0", "RetryScheduled s0"]);
}

#[test]
fn what_nobody_agreed_to_was_not_begun_and_is_not_taken_back() {
    let undo = Some(invocation(true, false));
    let timeout = Some(SignedDuration::from_secs(30));
    let plan = plan_of(vec![Step { undo, timeout, on_failure: OnFailure::Undo, ..step(0, Vec::new(), asks()) }]);
    let told = story(&plan, &[Input::Unanswered { step: id(0) }]);
    assert_eq!(told[1..], ["ApprovalRequested s0", "StepFailed s0", "UndoBegan", "RunFinished RolledBack"]);
}

#[test]
fn a_no_cannot_be_followed_by_a_success() {
    let plan = plan_of(vec![step(0, Vec::new(), asks())]);
    let done = Event::StepSucceeded {
        step: id(0),
        attempt: 0,
        outputs: json!({}),
        summary: String::new(),
        known_by: KnownBy::Approval,
    };
    for approved in [true, false] {
        let mut run = state(&plan, &[]);
        let answered = Event::ApprovalAnswered { step: id(0), who: Person::Engine, approved, comment: None };
        run.apply(start(), &answered).expect("a legal event");
        assert_eq!(run.apply(start(), &done).is_ok(), approved);
    }
}

#[test]
fn nothing_is_taken_back_while_something_goes_on() {
    let alone = |place| Step { needs: Vec::new(), on_failure: OnFailure::Undo, ..uses(place, true, false) };
    let plan = plan_of(vec![alone(0), alone(1)]);
    let failed = answer(0, 1, Err(Failure::Permanent(Reason::new("test", "test"))));
    let mut run = state(&plan, &[failed]);
    assert!(run.clone().apply(start(), &Event::UndoBegan).is_err());
    let failed = Event::StepFailed { step: id(1), failure: Failure::Permanent(Reason::new("test", "test")) };
    let attempt =
        Event::AttemptFailed { step: id(1), attempt: 1, failure: Failure::Permanent(Reason::new("test", "test")) };
    run.apply(start(), &attempt).expect("a legal event");
    run.apply(start(), &failed).expect("a legal event");
    assert!(run.apply(start(), &Event::UndoBegan).is_ok());
}

#[test]
fn the_time_of_the_whole_step_bounds_its_attempts_and_their_number() {
    let seconds = SignedDuration::from_secs;
    let retry = Retry { attempts: 9, backoff: seconds(50), backoff_max: seconds(50), ..Retry::default() };
    let limited = |limit| {
        let step = Step { time_limit: Some(seconds(limit)), retry: retry.clone(), ..uses(0, true, false) };
        plan_of(vec![Step { timeout: Some(seconds(70)), ..step }])
    };
    // The first attempt has its own 70 seconds, the second one, which begins after two minutes, what is left of the step's.
    let plan = limited(150);
    let passing = |attempt| answer(0, attempt, Err(crate::cases::transient()));
    let deadline = |inputs: &[Input]| {
        due(&plan, &state(&plan, inputs), start()).into_iter().find_map(|effect| match effect {
            Effect::Invoke(call) => call.deadline,
            _ => None,
        })
    };
    assert_eq!(deadline(&[]), Some(start() + seconds(70)));
    assert_eq!(deadline(&[passing(1), Input::Tick]), Some(start() + seconds(150)));
    // A further attempt could only begin when that time is over.
    let told = story(&plan, &[passing(1), Input::Tick, passing(2)]);
    assert_eq!(told[4..], ["StepStarted s0", "AttemptFailed s0", "StepFailed s0", "RunFinished Failed"]);
    // Nobody worked on the run when the next attempt could have begun, nor for the rest of the step's time.
    let told = story(&limited(115), &[passing(1), Input::Tick]);
    assert_eq!(told[2..], ["AttemptFailed s0", "RetryScheduled s0", "StepFailed s0", "RunFinished Failed"]);
    let told = story(&limited(60), &[Input::Interrupted { step: id(0) }]);
    assert_eq!(told[2..], ["AttemptInterrupted s0", "StepFailed s0", "RunFinished Failed"]);
}

#[test]
fn what_a_person_asks_for_again_has_its_whole_time_again() {
    let limit = Some(SignedDuration::from_secs(30));
    let plan = plan_of(vec![Step { time_limit: limit, ..uses(0, false, false) }]);
    let answer = lifeboat_core::event::OperatorAnswer::RunAgain;
    let again = Input::Operator { step: id(0), who: Person::Engine, answer };
    let told = story(&plan, &[Input::Interrupted { step: id(0) }, Input::Tick, again]);
    assert_eq!(told[2..], ["AttemptInterrupted s0", "OperatorAsked s0", "OperatorAnswered s0", "StepStarted s0"]);
}
