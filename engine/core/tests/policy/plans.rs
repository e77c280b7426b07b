//! Random plans and random events.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    event::{Event, KnownBy, OperatorAnswer, Outcome, Person, SkipReason},
    expression::{Expression, Template},
    failure::{Failure, FailureKind, Reason},
    name::StepId,
    operator::{Command, Request},
    plan::{Each, Invocation, OnFailure, Plan, Retry, Section, Step, StepKind},
    sketch::{self, Repeat},
    types::Type,
};
use proptest::prelude::*;
use serde_json::{Value, json};

pub(crate) use lifeboat_core::sketch::{plan as plan_of, question as approve};

/// The name of the step at a place.
pub(crate) fn id(place: usize) -> StepId {
    sketch::id(&format!("s{place}"))
}

/// An action that can do or not do what policy asks about.
pub(crate) fn invocation(idempotent: bool, observable: bool) -> Invocation {
    Invocation { idempotent, observable, ..sketch::invocation("act", Repeat::Opaque) }
}

/// A step that runs an action and nothing more.
pub(crate) fn step(place: usize, needs: Vec<usize>, kind: StepKind) -> Step {
    sketch::step(id(place).as_str(), &needs, kind)
}

fn kind() -> impl Strategy<Value = StepKind> {
    prop_oneof![
        6 => (any::<bool>(), any::<bool>()).prop_map(|(idempotent, observable)| {
            StepKind::Uses(invocation(idempotent, observable))
        }),
        1 => (any::<bool>(), prop::option::of(1..60_i64)).prop_map(|(four_eyes, expires)| StepKind::Approve {
            by: Vec::new(),
            message: Template::new("yes?"),
            four_eyes,
            expires: expires.map(SignedDuration::from_secs),
        }),
        1 => prop::option::of(any::<bool>()).prop_map(|verify| StepKind::Manual {
            instruction: Template::new("do it"),
            evidence: BTreeMap::new(),
            verify: verify.map(|idempotent| invocation(idempotent, false)),
        }),
    ]
}

fn any_step(place: usize) -> impl Strategy<Value = Step> {
    let needs = prop::collection::btree_set(0..place.max(1), 0..=place.min(2));
    let undo = prop::option::of(any::<bool>());
    let on_failure = prop_oneof![Just(OnFailure::Stop), Just(OnFailure::Continue), Just(OnFailure::Undo)];
    let when = prop::option::weighted(0.2, prop_oneof![Just("true"), Just("false"), Just("1")]);
    let each =
        prop::option::weighted(0.3, (prop_oneof![4 => Just("[1, 2, 3]"), 1 => Just("[]"), 1 => Just("1")], 1..4_u32));
    let time = (prop::option::of(1..30_i64), prop::option::weighted(0.3, 1..60_i64));
    (kind(), needs, undo, on_failure, when, 1..4_u32, time, each).prop_map(
        move |(kind, needs, undo, on_failure, when, attempts, (timeout, limit), each)| Step {
            each: each.filter(|_| matches!(kind, StepKind::Uses(_))).map(|(over, max_parallel)| Each {
                over: Expression::new(over),
                item: Type::Json,
                max_parallel,
                allow_empty: max_parallel == 2,
            }),
            when: when.map(Expression::new),
            timeout: timeout.map(SignedDuration::from_secs),
            time_limit: limit.filter(|_| matches!(kind, StepKind::Uses(_))).map(SignedDuration::from_secs),
            retry: Retry { attempts, on: vec![FailureKind::Transient], ..Retry::default() },
            undo: undo.map(|idempotent| invocation(idempotent, false)),
            on_failure,
            ..step(place, needs.into_iter().filter(|need| *need < place).collect(), kind)
        },
    )
}

/// Up to five steps of every kind, and up to two handlers of each sort.
pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let steps = (any_step(0), any_step(1), any_step(2), any_step(3), any_step(4), 1..6_usize);
    let handlers = prop::collection::vec((kind(), prop::option::of(1..30_i64), any::<bool>(), any::<bool>()), 0..4);
    (steps, handlers).prop_map(|((a, b, c, d, e, length), handlers)| {
        let mut steps: Vec<Step> = [a, b, c, d, e].into_iter().take(length).collect();
        let (failure, finally): (Vec<_>, Vec<_>) = handlers.into_iter().partition(|(.., finally)| !finally);
        for (section, handlers) in [(Section::OnFailure, failure), (Section::Finally, finally)] {
            let first = steps.len();
            for (kind, timeout, at_once, _) in handlers {
                let place = steps.len();
                let needs = match place - first {
                    0 => Vec::new(),
                    // The first two begin at once, and the third one may need both.
                    1 if at_once => Vec::new(),
                    1 => vec![first],
                    _ if at_once => vec![place - 2, place - 1],
                    _ => vec![place - 1],
                };
                let timeout = timeout.map(SignedDuration::from_secs);
                steps.push(Step { section, timeout, ..step(place, needs, kind) });
            }
        }
        plan_of(steps)
    })
}

/// A failure of that kind.
pub(crate) fn failure(choice: u16) -> Failure {
    let reason = Reason::new("test", "as the test wants it");
    match choice % 5 {
        0 | 1 => Failure::Transient(reason),
        2 => Failure::Interrupted(reason),
        3 => Failure::Permanent(reason),
        _ => Failure::Denied(reason),
    }
}

/// Any event about any step.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    (0..28_u8, 0..8_usize, 0..4_u32, any::<u16>(), any::<bool>()).prop_map(|(kind, place, attempt, choice, yes)| {
        let step = if choice % 4 == 1 { id(place).item(usize::from(yes)) } else { id(place) };
        let who = Person::Engine;
        let (at, deadline) = (Timestamp::UNIX_EPOCH, None);
        let reason = Reason::new("test", "test");
        match kind {
            0..=2 => Event::StepStarted { step, attempt, parameters: Value::Null, deadline },
            3 => Event::StepSucceeded {
                step,
                attempt,
                outputs: json!({}),
                summary: String::new(),
                known_by: if yes { KnownBy::Answer } else { KnownBy::Observation },
            },
            4 => Event::AttemptFailed { step, attempt, failure: failure(choice) },
            5 => Event::RetryScheduled { step, until: at },
            6 => Event::StepFailed { step, failure: failure(choice) },
            7 => Event::StepSkipped { step, reason: SkipReason::WhenFalse },
            8 => Event::AttemptInterrupted { step, attempt },
            9 => Event::ObservationStarted { step, attempt },
            10 => Event::ObservedNotDone { step, attempt },
            11 => {
                Event::ApprovalRequested { step, by: Vec::new(), message: String::new(), four_eyes: yes, expires: None }
            }
            12 => Event::ApprovalAnswered { step, who, approved: yes, comment: None },
            13 => Event::HandsRequested { step, instruction: String::new(), evidence: BTreeMap::new() },
            14 => Event::HandsReported { step, who, evidence: json!({}), reason: why(yes) },
            15 => Event::ResolvedByHand { step, who, evidence: json!({}), reason: why(yes) },
            16 if yes => Event::OperatorAsked { step, reason },
            16 => Event::OperatorAnswered { step, who, answer: OperatorAnswer::GiveUp, reason: None },
            17 if yes => Event::AbortRequested { who, reason: String::new(), undo: choice.is_multiple_of(2) },
            17 => Event::StepCancelled { step },
            18 if yes => Event::UndoBegan,
            18 => Event::UndoStarted { step, attempt, parameters: Value::Null, deadline },
            19 if yes => Event::StepUndone { step },
            20 => Event::FanOutBegan { step, items: vec![Value::Null; usize::from(choice % 3)] },
            21 => Event::HandlersBegan { ending: [Outcome::Failed, Outcome::Succeeded][usize::from(yes)] },
            22 => Event::RetryRequested { step, who, reason: None },
            23 => Event::StepsReopened { steps: vec![step, id(usize::from(choice % 5))], who, reason: None },
            24 => Event::RunPaused { who, reason: None },
            25 if yes => Event::OnsetStated { onset: at, who },
            25 => Event::RunUnpaused { who, reason: None },
            26 if yes => Event::SkipScheduled { step, who, reason: "test".to_owned() },
            26 => Event::StepSkipped { step, reason: SkipReason::ByOperator { who, reason: "test".to_owned() } },
            _ => Event::RunFinished { outcome: [Outcome::Failed, Outcome::RolledBack][usize::from(yes)] },
        }
    })
}

fn why(yes: bool) -> Option<String> {
    yes.then(|| "test".to_owned())
}

/// One of two people.
pub(crate) fn somebody(which: usize) -> Person {
    Person::User { name: ["ada", "grace"][which].to_owned() }
}

/// Any request of anybody about any step.
pub(crate) fn request(plan: &Plan, choice: u16) -> Request {
    let (kind, detail) = (choice % 12, usize::from(choice / 12));
    let step = id(detail % (plan.steps.len() + 1));
    let yes = (detail / 8).is_multiple_of(2);
    let (evidence, reason) = (json!({ "ticket": "OPS-1" }), "test".to_owned());
    let command = match kind {
        0 => Command::Approve { step, comment: why(yes) },
        1 => Command::Reject { step, comment: why(yes) },
        2 | 3 => Command::Skip { step, reason },
        4 | 5 => Command::Resolve { step, evidence, reason: why(yes) },
        6 => Command::Retry { steps: vec![step], from: false, confirmed: yes, reason: None },
        7 => {
            let steps = plan.steps.iter().map(|step| step.id.clone()).collect();
            Command::Retry { steps, from: yes, confirmed: true, reason: why(yes) }
        }
        8 => Command::Retry { steps: vec![step], from: true, confirmed: yes, reason: None },
        9 => Command::Pause { reason: why(yes) },
        10 if yes && detail.is_multiple_of(3) => Command::Onset { onset: crate::world::start() },
        10 => Command::Unpause { reason: None },
        _ if detail.is_multiple_of(4) => Command::Abort { reason: None, undo: yes },
        _ => Command::Decide { step, answer: OperatorAnswer::RunAgain },
    };
    Request { who: somebody(detail % 2), groups: BTreeSet::new(), command }
}
