//! A step for each item of a list.

use lifeboat_core::{
    decide::{ITEMS_MAX, decide},
    due::due,
    event::{Event, Mode},
    expression::Expression,
    failure::{Failure, Reason},
    input::{Done, Effect, Input, Purpose},
    plan::{Each, OnFailure, Plan, Step},
    run::{Run, StepState},
    types::Type,
};
use serde_json::{Value, json};

use crate::{
    cases::{story_in, transient, uses},
    plans::{id, invocation, plan_of},
    world::start,
};

fn list(over: &str, max_parallel: u32) -> Step {
    let each = Each { over: Expression::new(over), item: Type::Json, max_parallel, allow_empty: false };
    Step { each: Some(each), ..uses(0, true, false) }
}

fn item(number: usize, answer: Result<Value, Failure>) -> Input {
    let done = |outputs| Done { outputs, summary: String::new() };
    Input::Answered { step: id(0).item(number), attempt: 1, purpose: Purpose::Run, answer: answer.map(done) }
}

fn good(number: usize) -> Input {
    item(number, Ok(json!({ "number": number })))
}

fn told(plan: &Plan, inputs: &[Input]) -> (Vec<String>, Run) {
    story_in(Mode::Real, plan, inputs)
}

#[test]
fn items_begin_in_order_and_only_so_many_at_once() {
    let plan = plan_of(vec![list("[5, 6, 7]", 2), uses(1, true, false)]);
    let (told, run) = told(&plan, &[good(1), good(0), good(2)]);
    assert_eq!(
        told[1..],
        [
            "FanOutBegan s0",
            "StepStarted s0[0]",
            "StepStarted s0[1]",
            "StepSucceeded s0[1]",
            "StepStarted s0[2]",
            "StepSucceeded s0[0]",
            "StepSucceeded s0[2]",
            "StepSucceeded s0",
            "StepStarted s1"
        ]
    );
    let StepState::Succeeded { outputs, .. } = &run.find(&id(0)).unwrap().state else { panic!("{run:#?}") };
    assert_eq!(*outputs, json!({ "items": [{ "number": 0 }, { "number": 1 }, { "number": 2 }] }));
}

#[test]
fn each_item_has_its_own_parameters_retries_and_undo() {
    let mut step = list(r#"["a", "b"]"#, 1);
    if let lifeboat_core::plan::StepKind::Uses(action) = &mut step.kind {
        action.with.insert("name".to_owned(), lifeboat_core::expression::Template::new("copy of ${{ item }}"));
    }
    step.retry.attempts = 2;
    step.undo = Some(invocation(true, false));
    let last = Step { on_failure: OnFailure::Undo, ..uses(1, true, false) };
    let plan = plan_of(vec![step, last]);
    let again = Input::Answered {
        step: id(0).item(0),
        attempt: 2,
        purpose: Purpose::Run,
        answer: Ok(Done { outputs: json!({}), summary: String::new() }),
    };
    let failed = Input::Answered {
        step: id(1),
        attempt: 1,
        purpose: Purpose::Run,
        answer: Err(Failure::Permanent(Reason::new("test", "test"))),
    };
    let undone = |number| Input::Answered {
        step: id(0).item(number),
        attempt: 1,
        purpose: Purpose::Undo,
        answer: Ok(Done { outputs: json!({}), summary: String::new() }),
    };
    let inputs = [item(0, Err(transient())), Input::Tick, again, good(1), failed, undone(1), undone(0)];
    let (told, run) = told(&plan, &inputs);
    assert_eq!(
        told[told.len() - 6..],
        [
            "UndoBegan",
            "UndoStarted s0[1]",
            "StepUndone s0[1]",
            "UndoStarted s0[0]",
            "StepUndone s0[0]",
            "RunFinished RolledBack"
        ]
    );
    assert_eq!(run.find(&id(0).item(0)).unwrap().attempts, 2);
    let mut begun = Run::new(&plan);
    let (_, events) = first_decision(&plan, &mut begun);
    let parameters = events.iter().find_map(|event| match event {
        Event::StepStarted { parameters, .. } => Some(parameters.clone()),
        _ => None,
    });
    assert_eq!(parameters, Some(json!({ "name": "copy of a" })));
}

fn first_decision(plan: &Plan, run: &mut Run) -> (Vec<Effect>, Vec<Event>) {
    let begin = Input::Start(Box::new(crate::world::beginning(plan, Mode::Real)));
    let events = lifeboat_core::decide::advance(plan, run, &begin, start());
    (lifeboat_core::due::due(plan, run, start()), events)
}

#[test]
fn an_empty_list_is_an_exception_unless_its_author_says_otherwise() {
    // What needs it continues, and finds a list of nothing.
    let after = Step { when: Some(Expression::new("size(steps.s0.outputs.items) == 0")), ..uses(1, true, false) };
    let mut plan = plan_of(vec![list("[]", 2), after]);
    let done = || [Input::Answered { step: id(1), attempt: 1, purpose: Purpose::Run, answer: Ok(nothing()) }];
    let (events, run) = told(&plan, &done());
    assert_eq!(events[1..3], ["FanOutBegan s0", "StepSucceeded s0"]);
    assert_eq!(events.last().map(String::as_str), Some("RunFinished SucceededWithExceptions"));
    let state = &run.find(&id(0)).unwrap().state;
    assert_eq!((state.word(), state.summary()), ("empty", Some("the list is empty; nothing was done")));
    if let Some(each) = &mut plan.steps[0].each {
        each.allow_empty = true;
    }
    let (events, run) = told(&plan, &done());
    assert_eq!(events.last().map(String::as_str), Some("RunFinished Succeeded"));
    assert_eq!(run.find(&id(0)).unwrap().state.word(), "succeeded");
}

fn nothing() -> Done {
    Done { outputs: json!({}), summary: String::new() }
}

#[test]
fn what_is_no_list_or_too_long_fails() {
    for over in ["1", "nothing", "'text'"] {
        let (told, _) = told(&plan_of(vec![list(over, 2)]), &[]);
        assert_eq!(told[1..], ["StepFailed s0", "RunFinished Failed"], "{over}");
    }
    let mut begun = crate::world::beginning(&plan_of(Vec::new()), Mode::Real);
    begun.inputs = json!({ "list": vec![0; ITEMS_MAX + 1] });
    let plan = plan_of(vec![list("inputs.list", 2)]);
    let mut run = Run::new(&plan);
    lifeboat_core::decide::advance(&plan, &mut run, &Input::Start(Box::new(begun)), start());
    let failure = run.find(&id(0)).unwrap().state.failure().cloned().expect("it is refused");
    assert!(failure.reason().message.contains("at most 100000 are allowed"), "{failure:?}");
}

#[test]
fn an_item_of_the_wrong_type_is_lost_alone() {
    // What a plugin declares as `json` may be anything: only the step that uses it knows what it must be.
    for (items, item, parameter, template) in [
        (r#"["2026-11-21T12:00:00Z", 7, "soon"]"#, "timestamp", "timestamp", r#"${{ item - duration("1m") }}"#),
        (r#"["a", 7, {"b": 1}]"#, "json", "string", "${{ item }}"),
        (r#"[{"name": "a"}, {"nam": "b"}, null]"#, "json", "string", "${{ item.name }}"),
    ] {
        let mut step = Step { on_failure: OnFailure::Continue, ..list(items, 1) };
        if let Some(each) = &mut step.each {
            each.item = item.parse().expect("a type");
        }
        if let lifeboat_core::plan::StepKind::Uses(action) = &mut step.kind {
            action.with.insert("value".to_owned(), lifeboat_core::expression::Template::new(template));
            action.parameters.insert("value".to_owned(), parameter.parse().expect("a type"));
        }
        let (told, run) = told(&plan_of(vec![step]), &[good(0)]);
        assert_eq!(
            told[1..],
            [
                "FanOutBegan s0",
                "StepStarted s0[0]",
                "StepSucceeded s0[0]",
                "StepFailed s0[1]",
                "StepFailed s0[2]",
                "StepFailed s0",
                "RunFinished SucceededWithExceptions"
            ],
            "{items}"
        );
        let code =
            |step| run.find(&step).and_then(|step| step.state.failure()).map(|failure| failure.reason().code.clone());
        let codes = [id(0).item(0), id(0).item(1), id(0).item(2), id(0)].map(code);
        let lost = |code: &str| Some(code.to_owned());
        assert_eq!(codes, [None, lost("run-render"), lost("run-render"), lost("run-items-failed")], "{items}");
    }
}

#[test]
fn a_lost_item_ends_the_run_or_is_left_behind() {
    let lost = || item(0, Err(Failure::Permanent(Reason::new("test", "test"))));
    let (stopped, _) = told(&plan_of(vec![list("[1, 2, 3]", 2)]), &[lost(), good(1)]);
    assert_eq!(
        stopped[4..],
        [
            "AttemptFailed s0[0]",
            "StepFailed s0[0]",
            "StepCancelled s0[2]",
            "StepSucceeded s0[1]",
            "StepFailed s0",
            "RunFinished Failed"
        ]
    );
    let goes_on = Step { on_failure: OnFailure::Continue, ..list("[1, 2, 3]", 1) };
    let (left, _) = told(&plan_of(vec![goes_on]), &[lost(), good(1), good(2)]);
    assert_eq!(left[left.len() - 3..], ["StepSucceeded s0[2]", "StepFailed s0", "RunFinished SucceededWithExceptions"]);
}

#[test]
fn a_list_whose_last_item_ended_while_the_run_stops_is_over_at_once() {
    let alone = |place| Step { needs: Vec::new(), ..uses(place, false, false) };
    let plan = plan_of(vec![list("[5, 6]", 1), alone(1), alone(2)]);
    let lost = Failure::Permanent(Reason::new("test", "test"));
    // A question to a person is in flight, so that the run waits for something in any case.
    let asked = Input::Interrupted { step: id(2) };
    let (_, mut run) = told(&plan, &[asked, crate::cases::answer(1, 1, Err(lost))]);
    // The engine dies between the end of the item and that of its list.
    let events = decide(&plan, &run, &good(0), start());
    run.apply(start(), &events[0]).expect("a legal event");
    let effects = due(&plan, &run, start());
    assert!(effects.contains(&Effect::WakeAt(start())), "{effects:?}");
    assert_eq!(decide(&plan, &run, &Input::Tick, start()), events[1..]);
}
