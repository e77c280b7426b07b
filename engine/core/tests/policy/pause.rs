//! A paused run: nothing begins, nothing is decided, no time counts.

use jiff::SignedDuration;
use lifeboat_core::{
    due::due,
    event::{Event, Person},
    input::{Effect, Input, Observation},
    plan::{Retry, Step},
    run::{Run, StepState},
};
use serde_json::json;

use crate::{
    cases::{answer, story, transient, uses},
    operator::{after, manual, pause, permanent, resolve, retry, skip, unpause},
    plans::{approve, id, plan_of, step},
    world::start,
};

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

#[test]
fn what_runs_ends_and_nothing_new_begins() {
    let plan = plan_of(vec![uses(0, true, false), uses(1, true, false)]);
    let told = story(&plan, &[pause(), answer(0, 1, Ok(())), Input::Tick, unpause()]);
    assert_eq!(told[2..], ["RunPaused", "StepSucceeded s0", "RunUnpaused", "StepStarted s1"]);
    let run = after(&plan, &[pause(), answer(0, 1, Ok(()))]);
    assert_eq!(due(&plan, &run, start()), [Effect::Hold]);
}

#[test]
fn a_step_that_fails_in_a_pause_can_be_dealt_with_before_the_run_ends() {
    let plan = plan_of(vec![uses(0, true, false), uses(1, true, false)]);
    let failed = answer(0, 1, Err(permanent()));
    let told = |wish: Option<Input>| {
        let inputs: Vec<Input> = [pause(), failed.clone()].into_iter().chain(wish).chain([unpause()]).collect();
        story(&plan, &inputs)[3..].to_vec()
    };
    assert_eq!(
        told(None),
        ["AttemptFailed s0", "RunUnpaused", "StepFailed s0", "StepCancelled s1", "RunFinished Failed"]
    );
    assert_eq!(told(Some(skip(0))), ["AttemptFailed s0", "StepSkipped s0", "RunUnpaused", "StepStarted s1"]);
    assert_eq!(told(Some(resolve(0))), ["AttemptFailed s0", "ResolvedByHand s0", "RunUnpaused", "StepStarted s1"]);
    assert_eq!(told(Some(retry(0))), ["AttemptFailed s0", "RetryRequested s0", "RunUnpaused", "StepStarted s0"]);
}

#[test]
fn a_running_attempt_has_after_the_pause_what_time_it_had_before() {
    let plan = plan_of(vec![Step { timeout: Some(minutes(10)), ..uses(0, true, false) }]);
    // Started at 0, paused after 1 minute, unpaused after 21.
    let mut inputs = vec![Input::Tick, pause()];
    let deadline = |run: &Run| match &run.steps[0].state {
        StepState::Running(attempt) => attempt.deadline,
        other => panic!("it is {other:?}"),
    };
    inputs.extend(std::iter::repeat_n(Input::Tick, 19));
    let paused = after(&plan, &inputs);
    let effects = due(&plan, &paused, start() + minutes(15));
    assert!(matches!(&effects[..], [Effect::Invoke(call), Effect::Hold] if call.deadline.is_none()), "{effects:?}");
    inputs.push(unpause());
    let run = after(&plan, &inputs);
    assert_eq!(deadline(&run), Some(start() + minutes(10) + minutes(20)));
    assert_eq!(due(&plan, &run, start())[1..], [Effect::WakeAt(start() + minutes(30))]);
}

#[test]
fn a_wait_goes_on_after_the_pause_and_a_retry_in_the_pause_is_due_at_its_end() {
    let wait = Retry { attempts: 3, backoff: minutes(5), backoff_max: minutes(5), ..Retry::default() };
    let plan = plan_of(vec![Step { retry: wait, ..uses(0, true, false) }]);
    let until = |inputs: &[Input]| match &after(&plan, inputs).steps[0].state {
        StepState::BackingOff { until, .. } => until.duration_since(start()).as_mins(),
        StepState::Running(attempt) => -i64::from(attempt.number),
        other => panic!("it is {other:?}"),
    };
    // Failed after 2 minutes, paused after 3, unpaused after 5.
    let failed = answer(0, 1, Err(transient()));
    assert_eq!(until(&[Input::Tick, failed.clone(), pause(), Input::Tick, unpause()]), 2 + 5 + 2);
    assert_eq!(until(&[Input::Tick, failed, pause(), retry(0), unpause()]), -2, "the second attempt runs");
}

#[test]
fn the_time_of_the_whole_step_is_longer_by_the_pause() {
    let wait = Retry { attempts: 3, backoff: minutes(5), backoff_max: minutes(5), ..Retry::default() };
    let plan = plan_of(vec![Step { retry: wait, time_limit: Some(minutes(15)), ..uses(0, true, false) }]);
    // Begun at 0, failed after 2 minutes, paused from 3 to 13: the next attempt begins after 17 and has time until 25.
    let mut inputs = vec![Input::Tick, answer(0, 1, Err(transient())), pause()];
    inputs.extend(std::iter::repeat_n(Input::Tick, 9));
    inputs.push(unpause());
    inputs.extend(std::iter::repeat_n(Input::Tick, 4));
    let run = after(&plan, &inputs);
    let StepState::Running(attempt) = &run.steps[0].state else { panic!("it is {:?}", run.steps[0].state) };
    assert_eq!((attempt.number, attempt.deadline), (2, Some(start() + minutes(25))));
}

#[test]
fn people_may_answer_in_a_pause() {
    let plan = plan_of(vec![step(0, Vec::new(), approve("yes?")), manual(1, false)]);
    let who = || Person::Engine;
    let answered = |approved| Input::Approval { step: id(0), who: who(), approved, comment: None };
    let told = story(&plan, &[pause(), answered(true), unpause()]);
    assert_eq!(told[2..], ["RunPaused", "ApprovalAnswered s0", "StepSucceeded s0", "RunUnpaused", "HandsRequested s1"]);
    let told = story(&plan, &[pause(), answered(false), unpause()]);
    assert_eq!(told[3..6], ["ApprovalAnswered s0", "RunUnpaused", "StepFailed s0"], "a no ends the run afterwards");
    let done = Input::Hands { step: id(1), who: who(), evidence: json!({}) };
    let told = story(&plan, &[answered(true), pause(), done, unpause()]);
    assert_eq!(
        told[6..],
        ["HandsReported s1", "ResolvedByHand s1", "RunUnpaused", "RunFinished SucceededWithExceptions"]
    );
}

#[test]
fn nobody_is_timed_out_in_a_pause() {
    let timed = Step { timeout: Some(minutes(1)), ..step(0, Vec::new(), approve("yes?")) };
    let plan = plan_of(vec![timed]);
    assert_eq!(story(&plan, &[pause(), Input::Unanswered { step: id(0) }])[2..], ["RunPaused"]);
}

#[test]
fn what_a_plugin_says_of_an_interrupted_attempt_waits_for_the_end_of_the_pause() {
    let plan = plan_of(vec![uses(0, false, true)]);
    let interrupted = Input::Interrupted { step: id(0) };
    let unknown = Observation::Unknown("nobody can tell".to_owned());
    let observed = Input::Observed { step: id(0), attempt: 1, observation: Ok(unknown) };
    let told = story(&plan, &[interrupted.clone(), pause(), observed, unpause()]);
    assert_eq!(told[4..], ["RunPaused", "AttemptFailed s0", "RunUnpaused", "OperatorAsked s0"]);
    let told = story(&plan, &[pause(), interrupted, unpause()]);
    assert_eq!(told[3..], ["AttemptInterrupted s0", "RunUnpaused", "ObservationStarted s0"]);
}

#[test]
fn a_journal_in_which_something_begins_in_a_pause_is_damaged() {
    let plan = plan_of(vec![uses(0, true, false), uses(1, true, false)]);
    let mut run = after(&plan, &[pause(), answer(0, 1, Ok(()))]);
    let begun = Event::StepStarted { step: id(1), attempt: 1, parameters: json!({}), deadline: None };
    assert!(run.clone().apply(start(), &begun).is_err());
    let again = Event::RunPaused { who: Person::Engine, reason: None };
    assert!(run.clone().apply(start(), &again).is_err(), "a run is paused once");
    let unpaused = Event::RunUnpaused { who: Person::Engine, reason: None };
    run.apply(start() + minutes(5), &unpaused).expect("a legal event");
    assert!(run.apply(start() + minutes(5), &begun).is_ok());
    assert!(run.apply(start() + minutes(5), &unpaused).is_err());
}
