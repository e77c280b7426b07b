//! Every wrong request is refused with a code, and the words say what would be right.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use lifeboat_core::{
    decide::decide,
    event::{Event, Person},
    expression::Template,
    failure::{Failure, Reason},
    input::Input,
    operator::{Command, Request, judge},
    plan::{Invocation, Plan, Step, StepKind},
    run::Run,
    types::Type,
};
use serde_json::{Value, json};

use crate::{
    cases::{answer, uses},
    operator::{after, manual, pause, permanent},
    plans::{approve, id, invocation, plan_of, somebody, step},
    world::{beginning, start},
};

fn request(who: usize, command: Command) -> Request {
    Request { who: somebody(who), groups: BTreeSet::new(), command }
}

/// What is refused, as its code and a part of its words.
#[track_caller]
fn check(plan: &Plan, run: &Run, command: Command, expected: &str) {
    let request = request(0, command);
    let judged = judge(plan, run, &request, start()).map(|event| format!("{event:?}"));
    match (judged, expected.split_once(": ")) {
        (Err(refusal), Some((code, part))) => {
            assert_eq!(refusal.code, code, "{refusal}");
            assert!(refusal.message.contains(part), "{refusal}");
            let input = Input::Command(Box::new(request));
            assert_eq!(decide(plan, run, &input, start()), [], "nothing is recorded for it");
        }
        (Ok(event), None) => assert!(event.starts_with(expected), "{event}"),
        (judged, _) => panic!("{judged:?}, and {expected} is expected"),
    }
}

fn skip(place: usize) -> Command {
    Command::Skip { step: id(place), reason: "not needed".to_owned() }
}

fn yes(place: usize) -> Command {
    Command::Approve { step: id(place), comment: None }
}

fn retry(place: usize) -> Command {
    Command::Retry { steps: vec![id(place)], from: false, confirmed: false, reason: None }
}

fn from(place: usize) -> Command {
    Command::Retry { steps: vec![id(place)], from: true, confirmed: false, reason: None }
}

fn resolve(place: usize, evidence: Value) -> Command {
    Command::Resolve { step: id(place), evidence, reason: Some("by hand".to_owned()) }
}

fn abort(undo: bool) -> Command {
    Command::Abort { reason: None, undo }
}

/// Users noticed so many minutes before the run started.
fn onset(minutes: i64) -> Command {
    Command::Onset { onset: start() - SignedDuration::from_mins(minutes) }
}

const PAUSE: Command = Command::Pause { reason: None };
const UNPAUSE: Command = Command::Unpause { reason: None };

#[test]
fn about_a_step_that_runs() {
    let plan = plan_of(vec![uses(0, true, false), uses(1, true, false)]);
    let run = after(&plan, &[]);
    check(&plan, &run, onset(-1), "operator-onset: is in the future");
    check(&plan, &run, onset(5), "OnsetStated");
    check(&plan, &run, skip(0), "operator-in-flight: `s0` is running (attempt 1); wait until it ends");
    check(&plan, &run, resolve(0, json!({ "ticket": 1 })), "operator-in-flight: is running");
    check(&plan, &run, retry(0), "operator-in-flight: is running");
    check(&plan, &run, from(0), "operator-in-flight: is running");
    check(&plan, &run, yes(0), "operator-not-asked: `s0` is running (attempt 1), not for an approval");
    check(&plan, &run, retry(1), "operator-not-failed: it runs when its turn comes");
    check(&plan, &run, from(1), "operator-not-failed: it runs when its turn comes");
    check(&plan, &run, skip(1), "SkipScheduled");
    check(&plan, &run, resolve(1, json!({ "ticket": 1 })), "operator-needs: resolved when its turn comes");
    check(&plan, &run, skip(7), "operator-unknown-step: no step `s7`; its steps are s0, s1");
    let nothing = Command::Skip { step: id(1), reason: "  ".to_owned() };
    check(&plan, &run, nothing, "operator-no-reason: give a reason why it is skipped");
    let nothing = Command::Resolve { step: id(1), evidence: json!({ "ticket": 1 }), reason: None };
    check(&plan, &run, nothing, "operator-no-reason: give a reason why it is done by hand");
    check(&plan, &run, UNPAUSE, "operator-not-paused: not paused");
    let scheduled = crate::operator::skip(1);
    let run = after(&plan, &[scheduled]);
    check(&plan, &run, skip(1), "operator-step-over: will be skipped, as already requested");
    let run = after(&plan, &[pause()]);
    check(&plan, &run, PAUSE, "operator-paused: already paused (by ada since");
    check(&plan, &run, UNPAUSE, "RunUnpaused");
}

#[test]
fn about_what_is_over() {
    let plan = plan_of(vec![uses(0, true, false), uses(1, true, false)]);
    let run = after(&plan, &[answer(0, 1, Ok(()))]);
    check(&plan, &run, skip(0), "operator-step-over: `s0` is over: it succeeded");
    check(&plan, &run, retry(0), "operator-step-over: use `--from`");
    check(&plan, &run, yes(0), "operator-step-over: it succeeded");
    check(&plan, &run, from(0), "operator-in-flight: `s1` is running");
    let run = after(&plan, &[answer(0, 1, Ok(())), answer(1, 1, Ok(()))]);
    for command in [skip(0), retry(0), from(0), yes(0), resolve(0, json!({ "ticket": 1 })), PAUSE, UNPAUSE, abort(true)]
    {
        check(&plan, &run, command, "operator-run-over: the run is over: it succeeded");
    }
    let abort_now = Input::Abort { who: Person::Engine, reason: "test".to_owned() };
    let run = after(&plan, &[abort_now]);
    check(&plan, &run, retry(0), "operator-run-over: was ended early");
    check(&plan, &run, abort(true), "operator-run-over: nothing that it did can be undone");
    check(&plan, &run, onset(0), "operator-run-over: was ended early");
}

#[test]
fn about_two_failures_and_about_what_may_have_happened() {
    let alone = |place| Step { needs: Vec::new(), ..uses(place, false, true) };
    let plan = plan_of(vec![alone(0), alone(1)]);
    let run = after(&plan, &[answer(0, 1, Err(permanent())), answer(1, 1, Err(permanent()))]);
    check(&plan, &run, retry(0), "operator-others-failed: `s1` failed too");
    check(&plan, &run, from(0), "operator-others-failed: `s1` failed too");
    check(&plan, &run, skip(0), "StepSkipped");
    let plan = plan_of(vec![uses(0, false, false), uses(1, true, false)]);
    let run = after(&plan, &[answer(0, 1, Ok(())), answer(1, 1, Err(permanent()))]);
    check(&plan, &run, from(0), "operator-confirm: `s0` would be repeated");
    check(&plan, &run, retry(1), "StepsReopened");
}

#[test]
fn about_an_attempt_of_which_nobody_knows() {
    let plan = plan_of(vec![uses(0, false, true)]);
    let cut_off = Failure::Interrupted(Reason::new("test", "test"));
    let run = after(&plan, &[pause(), answer(0, 1, Err(cut_off))]);
    check(&plan, &run, retry(0), "operator-in-flight: it is unknown whether the last attempt of `s0` took effect");
    check(&plan, &run, skip(0), "StepSkipped");
}

#[test]
fn about_a_decision_that_is_waited_for() {
    let plan = plan_of(vec![uses(0, false, false)]);
    let run = after(&plan, &[Input::Interrupted { step: id(0) }]);
    check(&plan, &run, retry(0), "operator-confirm: examine the target, then run the step again with `--yes`");
    check(&plan, &run, from(0), "operator-in-flight: waits for a decision");
    let confirmed = Command::Retry { steps: vec![id(0)], from: false, confirmed: true, reason: None };
    check(&plan, &run, confirmed, "OperatorAnswered");
    check(&plan, &run, resolve(0, json!({ "ticket": 1 })), "ResolvedByHand");
}

/// A question to the role `dba`.
fn sign_off(four_eyes: bool) -> Plan {
    let by = vec!["dba".to_owned()];
    let kind = StepKind::Approve { by, message: Template::new("yes?"), four_eyes, expires: None };
    plan_of(vec![step(0, Vec::new(), kind)])
}

/// A run in which these are the people.
fn with_people(plan: &Plan, people: &[(&str, &[&str])]) -> Run {
    let mut started = beginning(plan, lifeboat_core::event::Mode::Real);
    let names = |names: &&[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    started.people = people.iter().map(|(role, list)| ((*role).to_owned(), names(list))).collect::<BTreeMap<_, _>>();
    let mut run = Run::new(plan);
    for event in decide(plan, &run, &Input::Start(Box::new(started)), start()) {
        run.apply(start(), &event).expect("a legal event");
    }
    run
}

#[test]
fn about_who_may_answer() {
    let plan = sign_off(false);
    check(&plan, &with_people(&plan, &[]), yes(0), "ApprovalAnswered");
    check(&plan, &with_people(&plan, &[("dba", &["ada"])]), yes(0), "ApprovalAnswered");
    let run = with_people(&plan, &[("dba", &["grace", "group:dba"])]);
    let words = "`s0` can only be answered by dba: grace or members of the group dba; you are ada";
    check(&plan, &run, yes(0), &format!("operator-role: {words}"));
    check(&plan, &run, Command::Reject { step: id(0), comment: None }, "operator-role: grace or");
    check(&plan, &run, skip(0), "operator-role: `s0` can only be answered or skipped by dba");
    let in_group = Request { groups: ["dba".to_owned()].into(), ..request(0, yes(0)) };
    assert!(judge(&plan, &run, &in_group, start()).is_ok());
    let run = with_people(&plan, &[("lead", &["ada"])]);
    check(&plan, &run, yes(0), "operator-role-unknown: by dba, but `people` in the bindings names nobody");
    check(&plan, &run, resolve(0, json!({ "ticket": 1 })), "operator-approval: use `approve` or `reject`");
}

#[test]
fn about_the_same_person_twice() {
    let plan = sign_off(true);
    let mut run = with_people(&plan, &[]);
    check(&plan, &run, skip(0), "operator-approval: nobody can skip it alone");
    for event in decide(&plan, &run, &Input::Command(Box::new(request(0, yes(0)))), start()) {
        run.apply(start(), &event).expect("a legal event");
    }
    check(&plan, &run, yes(0), "operator-same-person: a second person must approve it too");
    assert!(matches!(judge(&plan, &run, &request(1, yes(0)), start()), Ok(Event::ApprovalAnswered { .. })));
}

#[test]
fn about_evidence() {
    let outputs = BTreeMap::from([("xid".to_owned(), Type::Int), ("note".to_owned(), Type::String)]);
    let find = Step { kind: StepKind::Uses(Invocation { outputs, ..invocation(true, false) }), ..uses(0, true, false) };
    let with = BTreeMap::from([("xid".to_owned(), Template::new("${{ steps.s0.outputs.xid }}"))]);
    let restore = Step { kind: StepKind::Uses(Invocation { with, ..invocation(true, false) }), ..uses(1, true, false) };
    let plan = plan_of(vec![find, restore]);
    let run = after(&plan, &[pause(), answer(0, 1, Err(permanent()))]);
    check(&plan, &run, resolve(0, json!("done")), "operator-evidence: nothing shows");
    let missing = "operator-evidence: the output `xid` (int) of `s0` is missing";
    check(&plan, &run, resolve(0, json!({ "ticket": "OPS-1" })), missing);
    check(&plan, &run, resolve(0, json!({ "xid": "seven" })), "operator-evidence: `xid`");
    check(&plan, &run, resolve(0, json!({ "xid": 7, "note": 1 })), "operator-evidence: `note`");
    check(&plan, &run, resolve(0, json!({ "xid": 7, "ticket": "OPS-1" })), "ResolvedByHand");
    let plan = plan_of(vec![uses(0, true, false), manual(1, true)]);
    let run = after(&plan, &[]);
    check(&plan, &run, resolve(1, json!({})), "operator-needs: `s1` waits for the steps that it needs");
    let plan = plan_of(vec![step(0, Vec::new(), approve("yes?"))]);
    check(
        &plan,
        &after(&plan, &[]),
        Command::Decide { step: id(0), answer: lifeboat_core::event::OperatorAnswer::GiveUp },
        "operator-not-asked: not for a decision",
    );
}
