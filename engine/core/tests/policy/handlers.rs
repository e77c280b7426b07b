//! What is done when the recovery has ended.

use lifeboat_core::{
    event::Person,
    failure::{Failure, Reason},
    input::Input,
    plan::{Plan, Section, Step},
};

use crate::{
    cases::{answer, story, uses},
    plans::plan_of,
};

/// A recovery of one step; two handlers for a failure, one after the other, and one for every end.
fn plan() -> Plan {
    let handler = |place, section, needs| Step { section, needs, ..uses(place, true, false) };
    plan_of(vec![
        uses(0, true, false),
        handler(1, Section::OnFailure, Vec::new()),
        handler(2, Section::OnFailure, vec![1]),
        handler(3, Section::Finally, Vec::new()),
    ])
}

fn lost(place: usize) -> Input {
    answer(place, 1, Err(Failure::Permanent(Reason::new("test", "test"))))
}

#[test]
fn a_recovery_that_went_through_leaves_the_handlers_of_a_failure_out() {
    let told = story(&plan(), &[answer(0, 1, Ok(())), answer(3, 1, Ok(()))]);
    assert_eq!(
        told[2..],
        [
            "StepSucceeded s0",
            "HandlersBegan",
            "StepSkipped s1",
            "StepSkipped s2",
            "StepStarted s3",
            "StepSucceeded s3",
            "RunFinished Succeeded"
        ]
    );
}

#[test]
fn people_are_told_of_a_failure_whatever_else_fails() {
    let told = story(&plan(), &[lost(0), lost(1), answer(2, 1, Ok(())), answer(3, 1, Ok(()))]);
    assert_eq!(
        told[3..],
        [
            "StepFailed s0",
            "HandlersBegan",
            "StepStarted s1",
            "AttemptFailed s1",
            "StepFailed s1",
            "StepStarted s2",
            "StepSucceeded s2",
            "StepStarted s3",
            "StepSucceeded s3",
            "RunFinished Failed"
        ]
    );
}

#[test]
fn a_handler_that_fails_takes_the_shine_off_a_success() {
    let told = story(&plan(), &[answer(0, 1, Ok(())), lost(3)]);
    assert_eq!(told.last().map(String::as_str), Some("RunFinished SucceededWithExceptions"));
}

#[test]
fn an_aborted_recovery_is_told_of_and_a_second_abort_cuts_that_off() {
    let abort = || Input::Abort { who: Person::Engine, reason: "test".to_owned() };
    let told = story(&plan(), &[abort(), abort()]);
    assert_eq!(
        told[2..],
        [
            "AbortRequested",
            "StepCancelled s0",
            "HandlersBegan",
            "StepStarted s1",
            "AbortRequested",
            "StepCancelled s1",
            "StepCancelled s2",
            "StepCancelled s3",
            "RunFinished Aborted"
        ]
    );
}
