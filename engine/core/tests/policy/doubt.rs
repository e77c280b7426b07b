//! What is known of an attempt, and who is asked before it is repeated or left.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use lifeboat_core::{
    decide::decide,
    due::due,
    event::{Event, KnownBy, Mode, OperatorAnswer, Outcome},
    expression::Template,
    failure::{Failure, Reason},
    input::{Effect, Input, Observation, Purpose},
    operator::{Command, Request, judge},
    plan::{CalledRunbook, Invocation, OnFailure, Plan, Section, Step, StepKind},
    types::Type,
};
use serde_json::json;

use crate::{
    cases::{answer, story, story_in, uses},
    operator::{manual, pause, permanent, retry, skip, unpause, wants},
    plans::{approve, id, invocation, plan_of, step},
    world::start,
};

fn undone(step: Step) -> Step {
    Step { undo: Some(invocation(true, false)), ..step }
}

fn undoes(step: Step) -> Step {
    Step { on_failure: OnFailure::Undo, ..step }
}

fn cut_off(place: usize) -> Input {
    Input::Interrupted { step: id(place) }
}

fn interrupted() -> Failure {
    Failure::Interrupted(Reason::new("test", "test"))
}

/// The code with which a request is refused at the end of these inputs; empty where it is not.
fn refusal(plan: &Plan, inputs: &[Input], command: Command) -> String {
    let run = story_in(Mode::Real, plan, inputs).1;
    let Input::Command(request) = wants(command) else { panic!("it is a command") };
    let request: Request = *request;
    judge(plan, &run, &request, start() + SignedDuration::from_hours(2))
        .map_or_else(|refusal| refusal.code, |_| String::new())
}

fn again_from(place: usize, confirmed: bool) -> Command {
    Command::Retry { steps: vec![id(place)], from: true, confirmed, reason: None }
}

#[test]
fn what_was_skipped_before_it_was_known_what_became_of_it_is_taken_back() {
    let plan = plan_of(vec![undone(uses(0, false, false)), undoes(uses(1, true, false))]);
    let told = story(&plan, &[cut_off(0), skip(0), answer(1, 1, Err(permanent()))]);
    assert_eq!(
        told[2..],
        [
            "AttemptInterrupted s0",
            "OperatorAsked s0",
            "StepSkipped s0",
            "StepStarted s1",
            "AttemptFailed s1",
            "StepFailed s1",
            "UndoBegan",
            "UndoStarted s0"
        ]
    );
}

#[test]
fn so_is_what_somebody_wanted_again_without_knowing() {
    let plan = plan_of(vec![undoes(undone(uses(0, false, false)))]);
    let again = Input::Operator { step: id(0), who: crate::plans::somebody(0), answer: OperatorAnswer::RunAgain };
    let refused = Failure::Denied(Reason::new("test", "test"));
    let told = story(&plan, &[cut_off(0), again, answer(0, 2, Err(refused))]);
    assert_eq!(told.last().map(String::as_str), Some("UndoStarted s0"), "{told:?}");
}

#[test]
fn so_is_work_of_people_that_was_never_found_to_be_right() {
    let failing = undoes(Step { needs: Vec::new(), ..uses(1, true, false) });
    let plan = plan_of(vec![undone(manual(0, true)), failing]);
    let hands = Input::Hands { step: id(0), who: crate::plans::somebody(0), evidence: json!({}) };
    let wrong = Input::Answered { step: id(0), attempt: 1, purpose: Purpose::Verify, answer: Err(permanent()) };
    let told = story(&plan, &[hands, wrong, answer(1, 1, Err(permanent()))]);
    assert_eq!(told[told.len() - 3..], ["StepCancelled s0", "UndoBegan", "UndoStarted s0"], "{told:?}");
}

#[test]
fn an_attempt_that_is_known_not_to_have_happened_leaves_nothing_to_take_back() {
    // Its undo needs what it made, and it made nothing.
    let with = BTreeMap::from([("instance".to_owned(), Template::new("${{ steps.s0.outputs.instance }}"))]);
    let undo = Some(Invocation { with, ..invocation(true, false) });
    let plan = plan_of(vec![
        Step { undo, ..uses(0, false, true) },
        undoes(Step { needs: Vec::new(), ..uses(1, true, false) }),
    ]);
    let not_done = Input::Observed { step: id(0), attempt: 1, observation: Ok(Observation::NotDone) };
    let told = story(&plan, &[cut_off(0), answer(1, 1, Err(permanent())), not_done]);
    assert_eq!(told[told.len() - 2..], ["UndoBegan", "RunFinished RolledBack"], "{told:?}");
}

#[test]
fn what_was_skipped_in_doubt_is_done_again_only_by_who_has_looked() {
    let plan = plan_of(vec![uses(0, true, false), uses(1, false, false), uses(2, true, false)]);
    let inputs = [answer(0, 1, Ok(())), cut_off(1), skip(1), answer(2, 1, Err(permanent()))];
    assert_eq!(refusal(&plan, &inputs, again_from(0, false)), "operator-confirm");
    assert_eq!(refusal(&plan, &inputs, again_from(0, true)), "");
}

#[test]
fn in_a_pause_nothing_is_repeated_before_it_is_looked_into() {
    let plan = plan_of(vec![uses(0, false, false), uses(1, true, false)]);
    let inputs = [pause(), answer(0, 1, Err(interrupted()))];
    assert_eq!(refusal(&plan, &inputs, again_from(0, false)), "operator-in-flight");
    let told = story(&plan, &[inputs.as_slice(), &[unpause()]].concat());
    assert_eq!(told.last().map(String::as_str), Some("OperatorAsked s0"));
}

#[test]
fn who_says_that_it_happened_says_with_what_outputs() {
    let mut makes = invocation(false, false);
    makes.outputs = BTreeMap::from([("rows".to_owned(), Type::Int)]);
    let asks = approve("Merge ${{ steps.s0.outputs.rows }} rows?");
    let plan = plan_of(vec![step(0, Vec::new(), StepKind::Uses(makes)), step(1, vec![0], asks)]);
    let happened = |outputs| Command::Decide { step: id(0), answer: OperatorAnswer::ItHappened { outputs } };
    for (outputs, code) in [
        (json!({}), "operator-evidence"),
        (json!(5), "operator-evidence"),
        (json!({ "rows": "many" }), "operator-evidence"),
        (json!({ "rows": 7 }), ""),
    ] {
        assert_eq!(refusal(&plan, &[cut_off(0)], happened(outputs.clone())), code, "{outputs}");
    }
}

#[test]
fn a_question_whose_time_passed_while_nobody_worked_on_the_run_is_asked_anew() {
    let expires = Some(SignedDuration::from_hours(1));
    let kind = StepKind::Approve { by: Vec::new(), message: Template::new("yes?"), four_eyes: false, expires };
    let plan = plan_of(vec![step(0, Vec::new(), kind)]);
    let command = Command::Retry { steps: vec![id(0)], from: false, confirmed: false, reason: None };
    assert_eq!(refusal(&plan, &[], command.clone()), "");
    let run = story_in(Mode::Real, &plan, &[]).1;
    let Input::Command(request) = wants(command) else { panic!("it is a command") };
    let early = judge(&plan, &run, &request, start()).map_err(|refusal| refusal.code);
    assert_eq!(early.unwrap_err(), "operator-not-failed");
}

fn handler(place: usize, section: Section, needs: Vec<usize>) -> Step {
    Step { section, needs, ..uses(place, true, false) }
}

#[test]
fn what_people_say_no_to_is_not_done_and_people_are_still_told() {
    let question = Step { section: Section::Finally, ..step(1, Vec::new(), approve("Destroy the copy?")) };
    let steps = vec![
        uses(0, true, false),
        question,
        handler(2, Section::Finally, vec![1]),
        handler(3, Section::Finally, vec![2]),
    ];
    let no = wants(Command::Reject { step: id(1), comment: None });
    let told = story(&plan_of(steps), &[answer(0, 1, Ok(())), no, answer(3, 1, Ok(()))]);
    assert_eq!(
        told[4..],
        [
            "ApprovalRequested s1",
            "ApprovalAnswered s1",
            "StepFailed s1",
            "StepSkipped s2",
            "StepStarted s3",
            "StepSucceeded s3",
            "RunFinished SucceededWithExceptions"
        ]
    );
}

#[test]
fn a_question_that_is_never_asked_is_no_yes() {
    let asks = |place, needs, what| Step { section: Section::Finally, ..step(place, needs, approve(what)) };
    let plan = plan_of(vec![
        uses(0, true, false),
        asks(1, Vec::new(), "Is the copy checked?"),
        asks(2, vec![1], "Destroy it?"),
        handler(3, Section::Finally, vec![2]),
        handler(4, Section::Finally, vec![3]),
    ]);
    let no = wants(Command::Reject { step: id(1), comment: None });
    let told = story(&plan, &[answer(0, 1, Ok(())), no]);
    assert_eq!(told[told.len() - 3..], ["StepSkipped s2", "StepSkipped s3", "StepStarted s4"], "{told:?}");
}

/// The plan with a call of a runbook, of which steps within it say the number 0.
fn calling(plan: Plan) -> Plan {
    let called = CalledRunbook {
        path: id(9),
        file: "tidy.yaml".to_owned(),
        runbook: plan.runbook.clone(),
        within: None,
        inputs: BTreeMap::new(),
        targets: BTreeMap::new(),
        when: None,
        line: 1,
    };
    Plan { called: vec![called], ..plan }
}

#[test]
fn a_runbook_that_a_handler_calls_keeps_its_own_order() {
    let inner = |place, needs| Step { within: Some(0), ..handler(place, Section::Finally, needs) };
    let steps =
        vec![uses(0, true, false), inner(1, Vec::new()), inner(2, vec![1]), handler(3, Section::Finally, vec![2])];
    let plan = calling(plan_of(steps));
    let told = story(&plan, &[answer(0, 1, Ok(())), answer(1, 1, Err(permanent()))]);
    assert_eq!(told[told.len() - 3..], ["StepFailed s1", "StepSkipped s2", "StepStarted s3"], "{told:?}");
}

#[test]
fn a_handler_waits_for_all_that_it_needs_though_one_has_failed() {
    let at_once = |place| handler(place, Section::Finally, Vec::new());
    let plan = plan_of(vec![uses(0, true, false), at_once(1), at_once(2), handler(3, Section::Finally, vec![1, 2])]);
    let (told, run) = story_in(Mode::Real, &plan, &[answer(0, 1, Ok(())), answer(1, 1, Err(permanent()))]);
    assert_eq!(told.last().map(String::as_str), Some("StepFailed s1"));
    let woken = due(&plan, &run, start()).into_iter().any(|effect| matches!(effect, Effect::WakeAt(_)));
    assert!(!woken, "nothing is owed while the other one runs");
}

#[test]
fn a_handler_that_cannot_be_repeated_is_done_once_though_the_run_ends_twice() {
    let once = Step { section: Section::Finally, needs: Vec::new(), ..uses(1, false, false) };
    let plan = plan_of(vec![uses(0, true, false), once, handler(2, Section::Finally, Vec::new())]);
    let ends = [answer(0, 1, Err(permanent())), answer(1, 1, Ok(())), answer(2, 1, Ok(()))];
    let told = story(&plan, &[ends.as_slice(), &[retry(0), answer(0, 2, Ok(()))]].concat());
    let starts = |step: &str| told.iter().filter(|word| **word == format!("StepStarted {step}")).count();
    assert_eq!((starts("s1"), starts("s2")), (1, 2), "{told:?}");
    let told = story(&plan, &[ends.as_slice(), &[retry(0), answer(0, 2, Ok(())), answer(2, 2, Ok(()))]].concat());
    assert_eq!(told.last().map(String::as_str), Some("RunFinished Succeeded"), "what was done before is no exception");
}

#[test]
fn a_journal_in_which_such_a_handler_was_repeated_still_loads() {
    let once = Step { section: Section::Finally, needs: Vec::new(), ..uses(1, false, false) };
    let plan = plan_of(vec![uses(0, true, false), once]);
    let inputs = [answer(0, 1, Err(permanent())), answer(1, 1, Ok(())), retry(0), answer(0, 2, Ok(()))];
    let mut run = story_in(Mode::Real, &plan, &inputs[..3]).1;
    let done = |attempt| Event::StepSucceeded {
        step: id(0),
        attempt,
        outputs: json!({}),
        summary: String::new(),
        known_by: KnownBy::Answer,
    };
    for event in [
        done(2),
        Event::HandlersBegan { ending: Outcome::Succeeded },
        Event::StepStarted { step: id(1), attempt: 2, parameters: json!({}), deadline: None },
    ] {
        run.apply(start(), &event).unwrap_or_else(|illegal| panic!("{event:?}: {illegal}"));
    }
}

#[test]
fn what_a_handler_calls_goes_on_behind_a_step_that_was_done_before() {
    let inner =
        |place, needs| Step { section: Section::Finally, needs, within: Some(0), ..uses(place, place != 1, false) };
    let plan = calling(plan_of(vec![uses(0, true, false), inner(1, Vec::new()), inner(2, vec![1])]));
    let abort = wants(Command::Abort { reason: None, undo: false });
    let told = story(&plan, &[answer(0, 1, Err(permanent())), abort, retry(0), answer(0, 2, Ok(()))]);
    assert_eq!(told[told.len() - 2..], ["StepSkipped s1", "StepStarted s2"], "{told:?}");
}

#[test]
fn handlers_that_were_being_cut_off_when_the_engine_died_are_cut_off() {
    let plan = plan_of(vec![uses(0, true, false), handler(1, Section::Finally, Vec::new())]);
    let mut run = story_in(Mode::Real, &plan, &[answer(0, 1, Ok(()))]).1;
    let abort = wants(Command::Abort { reason: None, undo: false });
    let events = decide(&plan, &run, &abort, start());
    assert!(matches!(events[0], Event::AbortRequested { .. }));
    run.apply(start(), &events[0]).expect("a legal event");
    let rest = decide(&plan, &run, &cut_off(1), start());
    assert_eq!(rest, events[1..], "what was not written is decided again");
}
