//! A path counts only where the step itself took it.

use super::Coverage;
use crate::{
    fixture::{EVERYTHING, TWO_PEOPLE, subject},
    lives::play,
};

/// The paths that the case takes through the step.
fn paths(runbook: &str, case: &str, step: &str) -> Vec<&'static str> {
    let subject = subject(runbook);
    let mut coverage = Coverage::new(&subject.plan);
    coverage.add(&play(&subject, &case.parse().unwrap()));
    let of_step = coverage.steps.iter().find(|covered| covered.step.as_str() == step).unwrap();
    of_step.paths().into_iter().filter(|(_, cases)| *cases == Some(1)).map(|(path, _)| path).collect()
}

#[test]
fn what_is_called_beside_the_attempts_of_a_step_is_none_of_them() {
    let undone = "5 permanent@last#1 slow@undo:write#1";
    assert_eq!(paths(EVERYTHING, undone, "write"), ["succeeded", "undone"]);
    let asked = "1 crash-unheard@write#1 never-answers@observe:write#1";
    assert_eq!(paths(EVERYTHING, asked, "write"), ["succeeded", "crashed", "interrupted"]);
}

#[test]
fn an_attempt_whose_answer_was_lost_did_not_fail() {
    assert_eq!(paths(EVERYTHING, "1 answer-lost@write#1", "write"), ["succeeded", "interrupted"]);
    assert_eq!(paths(EVERYTHING, "1 transient@look#1", "look"), ["succeeded", "failed"]);
}

#[test]
fn only_what_was_in_flight_is_met_by_a_crash() {
    let crash = "1 never-answers@look#1 crash-in-call@tell#1";
    assert_eq!(paths(EVERYTHING, crash, "look"), ["succeeded", "timed out"]);
    assert!(paths(EVERYTHING, crash, "tell").contains(&"crashed"));
}

#[test]
fn an_approval_that_expires_ran_out_of_time() {
    assert_eq!(paths(TWO_PEOPLE, "3 person-unanswered@agree#1", "agree"), ["timed out"]);
}

#[test]
fn only_what_is_under_way_is_taken_over_with_the_run() {
    let lost = "1 second-owner@2";
    assert!(paths(EVERYTHING, lost, "look").contains(&"taken over"));
    assert!(!paths(EVERYTHING, lost, "write").contains(&"taken over"));
    assert!(!paths(EVERYTHING, "1 crash-before@2", "look").contains(&"taken over"));
}
