//! A run that failed continues where an operator has dealt with what stopped it.

use lifeboat_core::{
    event::Person,
    expression::Expression,
    failure::{Failure, Reason},
    input::{Done, Input, Purpose},
    operator::{Command, behind},
    plan::{Each, OnFailure, Plan, Retry, Section, Step},
};

use crate::{
    cases::{answer, story, transient, uses},
    operator::{permanent, resolve, retry, skip, wants},
    plans::{id, invocation, plan_of},
};

fn chain() -> Plan {
    plan_of(vec![uses(0, true, false), uses(1, true, false), uses(2, true, false)])
}

/// The second step of the chain failed, and the run ended.
fn failed() -> Vec<Input> {
    vec![answer(0, 1, Ok(())), answer(1, 1, Err(permanent()))]
}

/// What follows after the end of the run.
fn afterwards(plan: &Plan, mut inputs: Vec<Input>, more: impl IntoIterator<Item = Input>) -> Vec<String> {
    let before = story(plan, &inputs);
    assert!(before.last().is_some_and(|word| word == "RunFinished Failed"), "{before:#?}");
    inputs.extend(more);
    story(plan, &inputs)[before.len()..].to_vec()
}

#[test]
fn a_failed_step_is_tried_again_and_the_run_goes_on() {
    let told = afterwards(&chain(), failed(), [retry(1), answer(1, 2, Ok(())), answer(2, 1, Ok(()))]);
    assert_eq!(
        told,
        [
            "StepsReopened",
            "StepStarted s1",
            "StepSucceeded s1",
            "StepStarted s2",
            "StepSucceeded s2",
            "RunFinished Succeeded"
        ]
    );
}

#[test]
fn retries_of_a_reopened_step_count_anew() {
    let retry_once = Retry { attempts: 2, ..Retry::default() };
    let plan = plan_of(vec![Step { retry: retry_once, ..uses(0, true, false) }]);
    let failed = vec![answer(0, 1, Err(transient())), Input::Tick, answer(0, 2, Err(transient()))];
    let told = afterwards(&plan, failed, [retry(0), answer(0, 3, Err(transient()))]);
    assert_eq!(told, ["StepsReopened", "StepStarted s0", "AttemptFailed s0", "RetryScheduled s0"]);
}

#[test]
fn a_failed_step_is_skipped_or_done_by_hand_and_the_run_goes_on() {
    let end = ["StepStarted s2", "StepSucceeded s2", "RunFinished SucceededWithExceptions"];
    for (wish, word) in [(skip(1), "StepSkipped s1"), (resolve(1), "ResolvedByHand s1")] {
        let told = afterwards(&chain(), failed(), [wish, answer(2, 1, Ok(()))]);
        assert_eq!(told, [&[word], &end[..]].concat());
    }
}

#[test]
fn what_was_cancelled_can_be_left_out_before_the_run_goes_on() {
    let told = afterwards(&chain(), failed(), [skip(2), retry(1), answer(1, 2, Ok(()))]);
    assert_eq!(
        told,
        [
            "SkipScheduled s2",
            "StepsReopened",
            "StepStarted s1",
            "StepSucceeded s1",
            "StepSkipped s2",
            "RunFinished SucceededWithExceptions"
        ]
    );
}

#[test]
fn everything_from_a_step_on_is_done_once_more() {
    let from = |confirmed| wants(Command::Retry { steps: vec![id(0)], from: true, confirmed, reason: None });
    let told = afterwards(&chain(), failed(), [from(false), answer(0, 2, Ok(())), answer(1, 2, Ok(()))]);
    assert_eq!(
        told,
        ["StepsReopened", "StepStarted s0", "StepSucceeded s0", "StepStarted s1", "StepSucceeded s1", "StepStarted s2"]
    );
    // What cannot be repeated without harm takes another word.
    let plan = plan_of(vec![uses(0, false, false), uses(1, true, false)]);
    let inputs = vec![answer(0, 1, Ok(())), answer(1, 1, Err(permanent()))];
    assert!(afterwards(&plan, inputs.clone(), [from(false)]).is_empty());
    assert_eq!(afterwards(&plan, inputs, [from(true)]), ["StepsReopened", "StepStarted s0"]);
}

#[test]
fn the_run_goes_on_when_the_last_failed_step_is_dealt_with() {
    let alone = |place| Step { needs: Vec::new(), ..uses(place, true, false) };
    let after_both = Step { needs: vec![0, 1], ..uses(2, true, false) };
    let plan = plan_of(vec![alone(0), alone(1), after_both]);
    let both = || vec![answer(0, 1, Err(permanent())), answer(1, 1, Err(permanent()))];
    assert!(afterwards(&plan, both(), [retry(0)]).is_empty(), "the other one would be left failed");
    assert_eq!(afterwards(&plan, both(), [skip(0)]), ["StepSkipped s0"]);
    assert_eq!(
        afterwards(&plan, both(), [skip(0), resolve(1)]),
        ["StepSkipped s0", "ResolvedByHand s1", "StepStarted s2"]
    );
    assert_eq!(afterwards(&plan, both(), [skip(0), retry(1)]), ["StepSkipped s0", "StepsReopened", "StepStarted s1"]);
    let all = wants(Command::Retry { steps: vec![id(0), id(1)], from: false, confirmed: false, reason: None });
    assert_eq!(afterwards(&plan, both(), [all]), ["StepsReopened", "StepStarted s0", "StepStarted s1"]);
}

#[test]
fn a_run_that_is_about_to_end_goes_on_too() {
    let alone = Step { needs: Vec::new(), ..uses(1, true, false) };
    let plan = plan_of(vec![uses(0, true, false), alone, Step { needs: vec![0], ..uses(2, true, false) }]);
    let told = story(&plan, &[answer(0, 1, Err(permanent())), retry(0), answer(1, 1, Ok(())), answer(0, 2, Ok(()))]);
    assert_eq!(
        told[3..],
        [
            "AttemptFailed s0",
            "StepFailed s0",
            "StepCancelled s2",
            "StepsReopened",
            "StepStarted s0",
            "StepSucceeded s1",
            "StepSucceeded s0",
            "StepStarted s2"
        ]
    );
}

#[test]
fn a_list_that_was_about_to_end_goes_on_with_all_its_items() {
    let each = Some(Each {
        over: Expression::new("[1, 2]"),
        max_parallel: 1,
        allow_empty: false,
        item: lifeboat_core::types::Type::Int,
    });
    let list = Step { needs: Vec::new(), each, ..uses(1, true, false) };
    let plan = plan_of(vec![uses(0, true, false), list]);
    let done = |item: usize| {
        let purpose = lifeboat_core::input::Purpose::Run;
        let done = lifeboat_core::input::Done { outputs: serde_json::json!({}), summary: String::new() };
        Input::Answered { step: id(1).item(item), attempt: 1, purpose, answer: Ok(done) }
    };
    let told = story(&plan, &[answer(0, 1, Err(permanent())), skip(0), done(0), done(1)]);
    let from = told.iter().position(|word| word == "StepCancelled s1[1]").expect("what had not begun was cancelled");
    assert_eq!(
        told[from + 1..],
        [
            "StepSkipped s0",
            "StepSucceeded s1[0]",
            "StepStarted s1[1]",
            "StepSucceeded s1[1]",
            "StepSucceeded s1",
            "RunFinished SucceededWithExceptions"
        ]
    );
}

#[test]
fn what_was_taken_back_does_not_go_on() {
    let undo = Some(invocation(true, false));
    let fails = |undo_fails: bool| {
        let plan = plan_of(vec![
            Step { undo: undo.clone(), ..uses(0, true, false) },
            Step { on_failure: OnFailure::Undo, ..uses(1, true, false) },
        ]);
        let purpose = lifeboat_core::input::Purpose::Undo;
        let done = || lifeboat_core::input::Done { outputs: serde_json::json!({}), summary: String::new() };
        let answer_to_undo = if undo_fails { Err(permanent()) } else { Ok(done()) };
        let undone = Input::Answered { step: id(0), attempt: 1, purpose, answer: answer_to_undo };
        let inputs = [answer(0, 1, Ok(())), answer(1, 1, Err(permanent())), undone, retry(1), skip(1), resolve(1)];
        story(&plan, &inputs).pop()
    };
    assert_eq!(fails(false).as_deref(), Some("RunFinished RolledBack"));
    assert_eq!(fails(true).as_deref(), Some("RunFinished Failed"));
}

#[test]
fn what_is_behind_a_step_is_all_that_needs_it() {
    let plan = plan_of(vec![
        uses(0, true, false),
        uses(1, true, false),
        Step { needs: Vec::new(), ..uses(2, true, false) },
        Step { needs: vec![1, 2], ..uses(3, true, false) },
    ]);
    assert_eq!(behind(&plan, &[1]), [1, 3]);
    assert_eq!(behind(&plan, &[2]), [2, 3]);
}

fn undo() -> Input {
    wants(Command::Abort { reason: None, undo: true })
}

fn undone(place: usize) -> Input {
    let answer = Ok(Done { outputs: serde_json::json!({}), summary: String::new() });
    Input::Answered { step: id(place), attempt: 1, purpose: Purpose::Undo, answer }
}

/// Each step of the chain has a way back.
fn chain_with_a_way_back() -> Plan {
    let back = |place| Step { undo: Some(invocation(true, false)), ..uses(place, true, false) };
    plan_of(vec![back(0), back(1), uses(2, true, false)])
}

#[test]
fn what_a_run_did_that_failed_is_taken_back_afterwards() {
    let plan = chain_with_a_way_back();
    let told = afterwards(&plan, failed(), [undo(), undone(1), undone(0)]);
    assert_eq!(
        told,
        [
            "AbortRequested",
            "UndoBegan",
            "UndoStarted s1",
            "StepUndone s1",
            "UndoStarted s0",
            "StepUndone s0",
            "RunFinished RolledBack"
        ]
    );
    // Once is enough, and what was undone is not done again.
    let inputs = [failed(), vec![undo(), undone(1), undone(0)]].concat();
    let told = story(&plan, &inputs);
    assert_eq!(story(&plan, &[inputs, vec![undo(), retry(1)]].concat()), told);
}

#[test]
fn what_was_cut_off_when_somebody_ended_the_run_is_taken_back_afterwards() {
    let plan = chain_with_a_way_back();
    let now = Input::Abort { who: Person::Engine, reason: "test".to_owned() };
    let ended = vec![answer(0, 1, Ok(())), now];
    let before = story(&plan, &ended);
    assert_eq!(before.last().map(String::as_str), Some("RunFinished Aborted"));
    let told = story(&plan, &[ended, vec![undo(), undone(1)]].concat());
    assert_eq!(
        told[before.len()..],
        ["AbortRequested", "UndoBegan", "UndoStarted s1", "StepUndone s1", "UndoStarted s0"]
    );
}

#[test]
fn people_hear_again_how_it_ended_when_it_was_taken_back() {
    let tell = Step { section: Section::Finally, needs: Vec::new(), ..uses(2, true, false) };
    let mut plan = chain_with_a_way_back();
    plan.steps[2] = tell;
    let told = afterwards(
        &plan,
        [failed(), vec![answer(2, 1, Ok(()))]].concat(),
        [undo(), undone(1), undone(0), answer(2, 2, Ok(()))],
    );
    assert_eq!(
        told[told.len() - 4..],
        ["HandlersBegan", "StepStarted s2", "StepSucceeded s2", "RunFinished RolledBack"]
    );
}

fn undo_failed(place: usize, attempt: u32, failure: Failure) -> Input {
    Input::Answered { step: id(place), attempt, purpose: Purpose::Undo, answer: Err(failure) }
}

#[test]
fn what_could_not_be_taken_back_is_tried_again_when_somebody_asks_again() {
    let plan = chain_with_a_way_back();
    let again = |place, attempt| {
        let answer = Ok(Done { outputs: serde_json::json!({}), summary: String::new() });
        Input::Answered { step: id(place), attempt, purpose: Purpose::Undo, answer }
    };
    // Newest first, and what is undone already is left alone.
    let once = [undo(), undo_failed(1, 1, permanent()), undone(0)];
    let told = afterwards(&plan, failed(), once.clone());
    assert_eq!(
        told[2..],
        [
            "UndoStarted s1",
            "AttemptFailed s1",
            "UndoFailed s1",
            "UndoStarted s0",
            "StepUndone s0",
            "RunFinished Failed"
        ]
    );
    let told = afterwards(&plan, failed(), once.into_iter().chain([undo(), again(1, 2)]));
    assert_eq!(told[8..], ["AbortRequested", "UndoBegan", "UndoStarted s1", "StepUndone s1", "RunFinished RolledBack"]);
    // As often as somebody asks.
    let thrice = [undo(), undo_failed(1, 1, permanent()), undone(0), undo(), undo_failed(1, 2, permanent()), undo()];
    let told = afterwards(&plan, failed(), thrice.into_iter().chain([again(1, 3)]));
    assert_eq!(told.last().map(String::as_str), Some("RunFinished RolledBack"));
}

#[test]
fn an_undo_of_unknown_effect_is_repeated_only_where_that_is_harmless() {
    let lost = || Failure::Interrupted(Reason::new("machine-timed-out", "nobody knows"));
    let with = |idempotent| {
        let back = |place| Step { undo: Some(invocation(idempotent, false)), ..uses(place, true, false) };
        plan_of(vec![back(0), uses(1, true, false)])
    };
    let ended = || vec![answer(0, 1, Ok(())), answer(1, 1, Err(permanent()))];
    // A repeatable one is repeated by itself first, until that is enough.
    let tries = (1..=50).flat_map(|attempt| [undo_failed(0, attempt, lost()), Input::Tick]);
    let told = afterwards(&with(true), ended(), [undo()].into_iter().chain(tries.clone()).chain([undo()]));
    assert_eq!(told[told.len() - 3..], ["AbortRequested", "UndoBegan", "UndoStarted s0"]);
    let told = afterwards(&with(false), ended(), [undo()].into_iter().chain(tries).chain([undo()]));
    assert_eq!(told[2..], ["UndoStarted s0", "AttemptFailed s0", "UndoFailed s0", "RunFinished Failed"]);
}

#[test]
fn taking_back_that_somebody_ended_goes_on_with_the_rest() {
    let plan = chain_with_a_way_back();
    let stop = wants(Command::Abort { reason: None, undo: false });
    let told = afterwards(&plan, failed(), [undo(), stop, undo(), undo_failed(1, 2, permanent()), undone(0)]);
    assert_eq!(
        told[3..],
        [
            "AbortRequested",
            "UndoFailed s1",
            "RunFinished Aborted",
            "AbortRequested",
            "UndoBegan",
            "UndoStarted s1",
            "AttemptFailed s1",
            "UndoFailed s1",
            "UndoStarted s0",
            "StepUndone s0",
            "RunFinished Failed"
        ]
    );
}
