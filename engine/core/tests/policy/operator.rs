//! What operators want, and what follows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    decide::{decide, decide_unattended},
    due::due,
    event::{Event, Mode, Outcome, Person},
    expression::Template,
    failure::{Failure, Reason},
    input::{Effect, Input, Purpose},
    operator::{Command, Request, judge},
    plan::{OnFailure, Plan, Step, StepKind},
    run::{Phase, Run, StepState},
};
use serde_json::json;

use crate::{
    cases::{answer, story, story_in, transient, uses},
    plans::{id, invocation, plan_of, somebody, step},
    world::start,
};

/// A request of ada.
pub(crate) fn wants(command: Command) -> Input {
    asked_by(0, command)
}

pub(crate) fn asked_by(who: usize, command: Command) -> Input {
    Input::Command(Box::new(Request { who: somebody(who), groups: BTreeSet::new(), command }))
}

pub(crate) fn skip(place: usize) -> Input {
    wants(Command::Skip { step: id(place), reason: "not needed".to_owned() })
}

pub(crate) fn resolve(place: usize) -> Input {
    let (evidence, reason) = (json!({ "ticket": "OPS-1" }), Some("by hand".to_owned()));
    wants(Command::Resolve { step: id(place), evidence, reason })
}

pub(crate) fn retry(place: usize) -> Input {
    wants(Command::Retry { steps: vec![id(place)], from: false, confirmed: false, reason: None })
}

pub(crate) fn pause() -> Input {
    wants(Command::Pause { reason: None })
}

pub(crate) fn unpause() -> Input {
    wants(Command::Unpause { reason: None })
}

pub(crate) fn permanent() -> Failure {
    Failure::Permanent(Reason::new("test", "test"))
}

/// A manual step, perhaps with a check.
pub(crate) fn manual(place: usize, verified: bool) -> Step {
    let kind = StepKind::Manual {
        instruction: Template::new("do it"),
        evidence: BTreeMap::new(),
        verify: verified.then(|| invocation(true, false)),
    };
    step(place, place.checked_sub(1).into_iter().collect(), kind)
}

#[test]
fn a_step_that_waits_is_skipped_in_its_turn_and_what_needs_it_goes_on() {
    let plan = plan_of(vec![uses(0, true, false), uses(1, true, false), uses(2, true, false)]);
    let told = story(&plan, &[skip(1), answer(0, 1, Ok(())), answer(2, 1, Ok(()))]);
    assert_eq!(
        told[2..],
        [
            "SkipScheduled s1",
            "StepSucceeded s0",
            "StepSkipped s1",
            "StepStarted s2",
            "StepSucceeded s2",
            "RunFinished SucceededWithExceptions"
        ]
    );
}

#[test]
fn what_was_done_by_hand_is_verified_before_the_run_goes_on() {
    let plan = plan_of(vec![uses(0, true, false), manual(1, true)]);
    let early = story(&plan, &[resolve(1)]);
    assert_eq!(early[1..], ["StepStarted s0"], "it cannot be verified before its turn");
    let told = story(&plan, &[answer(0, 1, Err(permanent())), resolve(0), resolve(1)]);
    assert_eq!(
        told[2..],
        [
            "AttemptFailed s0",
            "StepFailed s0",
            "StepCancelled s1",
            "RunFinished Failed",
            "ResolvedByHand s0",
            "HandsRequested s1",
            "HandsReported s1",
            "StepStarted s1"
        ]
    );
}

#[test]
fn two_different_people_approve_where_four_eyes_are_wanted() {
    let kind = StepKind::Approve { by: Vec::new(), message: Template::new("yes?"), four_eyes: true, expires: None };
    let plan = plan_of(vec![step(0, Vec::new(), kind)]);
    let yes = |who| asked_by(who, Command::Approve { step: id(0), comment: None });
    let told = story(&plan, &[yes(0), yes(0), yes(1)]);
    assert_eq!(
        told[1..],
        [
            "ApprovalRequested s0",
            "ApprovalAnswered s0",
            "ApprovalAnswered s0",
            "StepSucceeded s0",
            "RunFinished Succeeded"
        ]
    );
    let no = asked_by(0, Command::Reject { step: id(0), comment: None });
    let told = story(&plan, &[yes(0), no]);
    assert_eq!(told.last().map(String::as_str), Some("RunFinished Failed"), "one no is enough");
    let who = Person::Policy { name: "drill".to_owned() };
    let policy = Input::Approval { step: id(0), who, approved: true, comment: None };
    assert_eq!(story(&plan, &[policy]).last().map(String::as_str), Some("RunFinished Succeeded"));
}

#[test]
fn a_question_expires_whether_or_not_somebody_can_be_asked() {
    let expires = Some(SignedDuration::from_secs(90));
    let kind = StepKind::Approve { by: Vec::new(), message: Template::new("yes?"), four_eyes: false, expires };
    let plan = plan_of(vec![step(0, Vec::new(), kind)]);
    // A minute passes before each input.
    let told = story(&plan, &[Input::Tick, Input::Tick, retry(0)]);
    assert_eq!(
        told[1..],
        ["ApprovalRequested s0", "StepFailed s0", "RunFinished Failed", "StepsReopened", "ApprovalRequested s0"]
    );
    let run = story_in(Mode::Real, &plan, &[Input::Tick]).1;
    let request =
        Request { who: somebody(0), groups: BTreeSet::new(), command: Command::Approve { step: id(0), comment: None } };
    assert!(judge(&plan, &run, &request, start() + SignedDuration::from_secs(89)).is_ok());
    let late = judge(&plan, &run, &request, start() + SignedDuration::from_secs(90)).map_err(|refusal| refusal.code);
    assert_eq!(late.unwrap_err(), "operator-expired");
}

#[test]
fn an_expiry_alone_is_no_reason_to_wait_where_nobody_can_be_asked() {
    let expires = Some(SignedDuration::from_secs(90));
    let kind = StepKind::Approve { by: Vec::new(), message: Template::new("yes?"), four_eyes: false, expires };
    let alone = plan_of(vec![step(0, Vec::new(), kind.clone())]);
    let at = start() + SignedDuration::from_secs(90);
    let effects = |plan: &Plan| due(plan, &story_in(Mode::Real, plan, &[]).1, start());
    assert_eq!(effects(&alone).last(), Some(&Effect::ExpiresAt(at)));
    let timeout = Some(SignedDuration::from_hours(1));
    let beside = plan_of(vec![step(0, Vec::new(), kind), Step { timeout, needs: Vec::new(), ..uses(1, true, false) }]);
    assert_eq!(effects(&beside).last(), Some(&Effect::WakeAt(at)), "the attempt has a time of its own");
}

#[test]
fn an_abort_with_undo_waits_for_what_runs_and_takes_back_what_was_done() {
    let undo = Some(invocation(true, false));
    let plan = plan_of(vec![Step { undo, ..uses(0, true, false) }, uses(1, true, false), uses(2, true, false)]);
    let abort = wants(Command::Abort { reason: None, undo: true });
    let told = story(&plan, &[answer(0, 1, Ok(())), abort.clone(), answer(1, 1, Ok(()))]);
    assert_eq!(told[4..], ["AbortRequested", "StepCancelled s2", "StepSucceeded s1", "UndoBegan", "UndoStarted s0"]);
    let at_once = wants(Command::Abort { reason: None, undo: false });
    let told = story(&plan, &[answer(0, 1, Ok(())), abort, at_once]);
    assert_eq!(told[6..], ["AbortRequested", "StepCancelled s1", "RunFinished Aborted"]);
}

#[test]
fn work_whose_check_fails_for_good_is_asked_for_until_somebody_ends_that() {
    let undo = Some(invocation(true, false));
    let plan = plan_of(vec![Step { undo, ..uses(0, true, false) }, manual(1, true), uses(2, true, false)]);
    let hands = Input::Hands { step: id(1), who: somebody(0), evidence: json!({ "ticket": "OPS-1" }) };
    let failed = |attempt| Input::Answered { step: id(1), attempt, purpose: Purpose::Verify, answer: Err(permanent()) };
    let again = (1..=5).flat_map(|attempt| [hands.clone(), failed(attempt)]);
    let asked: Vec<_> = std::iter::once(answer(0, 1, Ok(()))).chain(again).collect();
    let told = |end: Input| {
        let (told, _) = story_in(Mode::Real, &plan, &[asked.clone(), vec![end]].concat());
        assert_eq!(told.iter().filter(|word| *word == "HandsRequested s1").count(), 6);
        told[told.iter().rposition(|word| word == "HandsRequested s1").expect("it is asked for") + 1..].to_vec()
    };
    assert_eq!(told(skip(1)), ["StepSkipped s1", "StepStarted s2"]);
    let abort = |undo| wants(Command::Abort { reason: None, undo });
    assert_eq!(told(abort(false)).last().map(String::as_str), Some("RunFinished Aborted"));
    assert_eq!(
        told(abort(true)),
        ["AbortRequested", "StepCancelled s1", "StepCancelled s2", "UndoBegan", "UndoStarted s0"]
    );
}

#[test]
fn where_no_engine_works_on_the_run_what_was_cut_off_does_not_run_out_of_time() {
    let timeout = Some(SignedDuration::from_secs(10));
    let plan = plan_of(vec![Step { timeout, ..uses(0, true, false) }, uses(1, true, false)]);
    let run = story_in(Mode::Real, &plan, &[]).1;
    let later = start() + SignedDuration::from_hours(1);
    let told = |events: Vec<Event>| events.iter().map(|event| format!("{event:?}")).collect::<Vec<_>>();
    let unattended = told(decide_unattended(&plan, &run, &skip(1), later));
    assert!(matches!(unattended.as_slice(), [only] if only.starts_with("SkipScheduled")), "{unattended:#?}");
    let live = told(decide(&plan, &run, &skip(1), later));
    assert!(live[1].starts_with("AttemptFailed"), "{live:#?}");
}

#[test]
fn an_abort_ends_a_pause() {
    let plan = plan_of(vec![uses(0, true, false)]);
    let told = story(&plan, &[pause(), wants(Command::Abort { reason: None, undo: false })]);
    assert_eq!(told[2..], ["RunPaused", "AbortRequested", "StepCancelled s0", "RunFinished Aborted"]);
}

#[test]
fn every_event_of_an_operator_reads_back_and_old_ones_still_load() {
    let who = somebody(0);
    let (step, reason) = (id(0), Some("because".to_owned()));
    for event in [
        Event::RunPaused { who: who.clone(), reason: None },
        Event::RunUnpaused { who: who.clone(), reason: reason.clone() },
        Event::RetryRequested { step: step.clone(), who: who.clone(), reason: reason.clone() },
        Event::StepsReopened { steps: vec![step.clone()], who: who.clone(), reason: reason.clone() },
        Event::ResolvedByHand { step: step.clone(), who: who.clone(), evidence: json!({}), reason },
        Event::AbortRequested { who: who.clone(), reason: "test".to_owned(), undo: true },
        Event::ApprovalRequested {
            step,
            by: Vec::new(),
            message: "yes?".to_owned(),
            four_eyes: true,
            expires: Some(Timestamp::UNIX_EPOCH),
        },
    ] {
        let text = serde_json::to_string(&event).expect("an event is JSON");
        assert_eq!(serde_json::from_str::<Event>(&text).expect("it reads back"), event, "{text}");
    }
    let who = r#"{"kind":"user","name":"ada"}"#;
    for old in [
        format!(r#"{{"event":"abort_requested","who":{who},"reason":"x"}}"#),
        format!(r#"{{"event":"hands_reported","step":"s0","who":{who},"evidence":{{}}}}"#),
        format!(r#"{{"event":"resolved_by_hand","step":"s0","who":{who},"evidence":{{}}}}"#),
        r#"{"event":"approval_requested","step":"s0","by":[],"message":"yes?"}"#.to_owned(),
    ] {
        let event: Event = serde_json::from_str(&old).expect("an old event loads");
        assert_eq!(serde_json::to_string(&event).expect("an event is JSON"), old, "and is written as before");
    }
}

/// The run after these inputs, a minute apart.
pub(crate) fn after(plan: &Plan, inputs: &[Input]) -> Run {
    story_in(Mode::Real, plan, inputs).1
}

#[test]
fn a_failed_step_that_lets_the_run_go_on_is_tried_again_with_what_was_left_out_because_of_it() {
    let first = Step { on_failure: OnFailure::Continue, ..uses(0, true, false) };
    let alone = Step { needs: Vec::new(), ..uses(2, true, false) };
    let plan = plan_of(vec![first, uses(1, true, false), alone]);
    let told = story(&plan, &[answer(0, 1, Err(permanent())), retry(0), answer(0, 2, Ok(()))]);
    assert_eq!(
        told[3..],
        [
            "AttemptFailed s0",
            "StepFailed s0",
            "StepSkipped s1",
            "StepsReopened",
            "StepStarted s0",
            "StepSucceeded s0",
            "StepStarted s1"
        ]
    );
}

#[test]
fn an_operator_asks_for_the_next_attempt_now_and_retries_count_anew() {
    let retry_twice = lifeboat_core::plan::Retry { attempts: 2, ..lifeboat_core::plan::Retry::default() };
    let hour = SignedDuration::from_hours(1);
    let waits_long = lifeboat_core::plan::Retry { backoff: hour, backoff_max: hour, ..retry_twice };
    let plan = plan_of(vec![Step { retry: waits_long, ..uses(0, true, false) }]);
    let inputs = [answer(0, 1, Err(transient())), retry(0), answer(0, 2, Err(transient()))];
    assert_eq!(
        story(&plan, &inputs)[2..],
        [
            "AttemptFailed s0",
            "RetryScheduled s0",
            "RetryRequested s0",
            "StepStarted s0",
            "AttemptFailed s0",
            "RetryScheduled s0"
        ]
    );
}

#[test]
fn a_refused_request_decides_nothing() {
    let plan = plan_of(vec![uses(0, true, false)]);
    let run = after(&plan, &[answer(0, 1, Ok(()))]);
    assert!(matches!(run.phase, Phase::Finished { outcome: Outcome::Succeeded, .. }));
    assert!(matches!(run.steps[0].state, StepState::Succeeded { .. }));
    for input in [pause(), unpause(), skip(0), retry(0), resolve(0), approval()] {
        assert!(decide(&plan, &run, &input, start()).is_empty(), "{input:?}");
    }
}

fn approval() -> Input {
    wants(Command::Approve { step: id(0), comment: None })
}
