//! Each invariant fails on a story that breaks it, and none on the story as it was.

use jiff::Timestamp;
use lifeboat_core::{
    action::Effect,
    event::{Event, KnownBy, Outcome, Person, SkipReason},
    failure::{Failure, FailureKind, Reason},
    input::Purpose,
    name::StepId,
    plan::{StepKind, Variant},
};

use super::{Ending, Evidence, broken};
use crate::{
    fixture::{EVERYTHING, TWO_PEOPLE, UNSEEN, nested, played, subject},
    lives::{LifeEnd, Played, play},
    truth::{Answered, CallMade},
};

/// A story, how it is broken, and by which invariant that is found.
type Row = (&'static str, &'static str, fn(&mut Played, &mut Ending));

const CALM: &str = "3";
const TAKEN_BACK: &str = "3 permanent@last#1";

const BROKEN: [Row; 11] = [
    ("test-one-attempt", CALM, |played, _| {
        let beside = call(played, "look", Purpose::Run).clone();
        played.truth.calls.insert(1, CallMade { attempt: 2, nth: 2, ..beside });
    }),
    ("test-needs-first", CALM, |played, _| {
        let looked = |event: &Event| matches!(event, Event::StepSucceeded { step, .. } if step.as_str() == "look");
        played.records.retain(|record| !looked(&record.event));
    }),
    ("test-identity-first", CALM, |played, _| call(played, "make", Purpose::Run).identified.clear()),
    ("test-once-only", CALM, |played, _| {
        let mut again = call(played, "last", Purpose::Run).clone();
        (again.attempt, again.effect) = (2, Some(u64::MAX));
        played.truth.calls.push(again);
    }),
    ("test-never-hangs", CALM, |played, _| played.lives = vec![LifeEnd::Hung("nothing is due".to_owned())]),
    ("test-same-end", CALM, |_, undisturbed| undisturbed.outcome = Some(Outcome::Failed)),
    ("test-undo-complete", TAKEN_BACK, |played, _| call(played, "write", Purpose::Undo).effect = None),
    ("test-event-before-effect", CALM, |played, _| call(played, "write", Purpose::Run).durable = 3),
    ("test-nothing-lost", CALM, |played, _| played.truth.durable[3].1 = "sha256:0".to_owned()),
    ("test-clock-forward", CALM, |played, _| played.records[5].at = Timestamp::UNIX_EPOCH),
    ("test-success-is-real", CALM, |played, _| {
        call(played, "write", Purpose::Run).answer = Some(Err(FailureKind::Transient));
    }),
];

/// More stories, for what people can do.
const BY_PEOPLE: [Row; 11] = [
    // A step is left out, and the run is called succeeded.
    ("test-success-is-real", "3 operator-skips@1", |played, _| {
        let Some(last) = played.records.last_mut() else { return };
        last.event = Event::RunFinished { outcome: Outcome::Succeeded };
    }),
    // One person approves where it takes two.
    ("test-success-is-real", TWO, |played, _| played.truth.replies.truncate(1)),
    // A step is left out before what it needs is over.
    ("test-needs-first", "3 operator-skips@1", |played, _| {
        let skipped = |event: &Event| matches!(event, Event::StepSkipped { reason: SkipReason::ByOperator { .. }, .. });
        let place = played.records.iter().position(|record| skipped(&record.event)).unwrap();
        let skip = played.records.remove(place);
        played.records.insert(1, skip);
    }),
    // What was recorded is not what somebody wanted.
    ("test-nothing-lost", "3 operator-pauses@3", |played, _| played.truth.told[0].who = Person::Engine),
    // What can be done is refused.
    ("test-nothing-lost", "3 operator-pauses@3", |played, _| {
        let before = played.truth.told[0].before;
        played.truth.told[0].answer = Some((Answered::Refused, before));
    }),
    // A step was cut off, or lost, or never came, and the run is called succeeded with exceptions.
    ("test-success-is-real", "3 operator-skips@1", |played, _| {
        *last_word(played) = Event::StepCancelled { step: StepId::new("last").unwrap() };
    }),
    ("test-success-is-real", "3 operator-skips@1", |played, _| {
        let failure = Failure::Permanent(Reason::new("virtual-permanent", "it cannot work"));
        *last_word(played) = Event::StepFailed { step: StepId::new("last").unwrap(), failure };
    }),
    ("test-success-is-real", "3 operator-skips@1", |played, _| *last_word(played) = Event::UndoBegan),
    // What was found to have happened did so in a later attempt.
    ("test-success-is-real", "3 crash-unheard@write#1", |played, _| {
        let found = played.records.iter_mut().find_map(|record| match &mut record.event {
            Event::StepSucceeded { attempt, known_by: KnownBy::Observation, .. } => Some(attempt),
            _ => None,
        });
        *found.unwrap() = 0;
    }),
    // The check passed when something was handed in for the first time, and not for what was handed in last.
    ("test-success-is-real", "3 transient@verify:by_hand#1", |played, _| {
        let checks = played.truth.calls.iter_mut().filter(|call| call.purpose == Purpose::Verify);
        let [first, second] = checks.collect::<Vec<_>>().try_into().unwrap();
        std::mem::swap(&mut first.answer, &mut second.answer);
    }),
    // The run waits for nobody when the pause is over.
    ("test-never-hangs", "3 operator-pauses@3", |played, _| {
        let over = |event: &Event| matches!(event, Event::RunUnpaused { .. });
        let over = played.records.iter().find(|record| over(&record.event)).unwrap().seq;
        played.lives.insert(0, LifeEnd::Waiting(Vec::new()));
        played.truth.left.insert(0, over);
    }),
];

/// What the journal says of how the step `last` ended.
fn last_word(played: &mut Played) -> &mut Event {
    let mut events = played.records.iter_mut().map(|record| &mut record.event);
    let word = |event: &&mut Event| matches!(&**event, Event::StepSucceeded { step, .. } if step.as_str() == "last");
    events.find(word).unwrap()
}

/// A case of the runbook that takes two people.
const TWO: &str = "4";

fn call<'a>(played: &'a mut Played, step: &str, purpose: Purpose) -> &'a mut CallMade {
    let mut calls = played.truth.calls.iter_mut();
    calls.find(|call| call.step.as_str() == step && call.purpose == purpose).unwrap()
}

fn codes(evidence: &Evidence<'_>) -> Vec<&'static str> {
    broken(evidence).into_iter().map(|broken| broken.code).collect()
}

#[test]
fn each_invariant_fails_on_a_story_that_breaks_it() {
    let mut missed = Vec::new();
    for (place, (code, case, doctor)) in BROKEN.into_iter().chain(BY_PEOPLE).enumerate() {
        let subject = subject(if case == TWO { TWO_PEOPLE } else { EVERYTHING });
        let mut played = play(&subject, &case.parse().unwrap());
        let (ending, mut undisturbed) = (Ending::of(&played), Ending::of(&played));
        let found = |played: &Played, undisturbed: &Ending| {
            codes(&Evidence::of(&subject.plan, played, &ending, Some(undisturbed)))
        };
        assert_eq!(found(&played, &undisturbed), [""; 0], "{case} as it was");
        doctor(&mut played, &mut undisturbed);
        let codes = found(&played, &undisturbed);
        missed.extend((!codes.contains(&code)).then(|| format!("story {place}, {code}: {codes:?}")));
    }
    assert_eq!(missed, [""; 0]);
    let stories = BROKEN.iter().map(|(code, ..)| *code).chain([super::SAME_AGAIN]);
    assert!(stories.eq(super::ALL.map(|invariant| invariant.code)), "one story each that a story can break");
}

#[test]
fn an_item_that_was_taken_back_too_early_is_found() {
    let subject = played(nested(Variant::Disaster));
    let undone = |played: &Played, step: &str| {
        played.truth.calls.iter().any(|call| call.step.as_str() == step && call.purpose == Purpose::Undo)
    };
    let mut cases = (1..1_000).map(|seed| play(&subject, &format!("{seed} permanent@check#1").parse().unwrap()));
    let mut played = cases.find(|played| ["copy[1]", "rebuild/build"].iter().all(|step| undone(played, step))).unwrap();
    let found = |played: &Played| codes(&Evidence::of(&subject.plan, played, &Ending::of(played), None));
    assert_eq!(found(&played), [""; 0]);
    // The run took `copy[1]` back, and `rebuild`, which rests on it, was still there.
    let rests_on_it = call(&mut played, "rebuild/build", Purpose::Undo).effect;
    call(&mut played, "copy[1]", Purpose::Undo).effect = rests_on_it.map(|moment| moment - 1);
    assert_eq!(found(&played), ["test-undo-complete"]);
}

#[test]
fn work_by_hand_that_was_not_taken_back_is_found() {
    let subject = subject(UNSEEN);
    let mut played = play(&subject, &"3 permanent@check#1".parse().unwrap());
    let found = |played: &Played| codes(&Evidence::of(&subject.plan, played, &Ending::of(played), None));
    assert_eq!(found(&played), [""; 0]);
    call(&mut played, "by_hand", Purpose::Undo).effect = None;
    assert_eq!(found(&played), ["test-undo-complete"]);
}

#[test]
fn an_action_that_destroys_says_where_it_may() {
    let mut subject = subject(EVERYTHING);
    let played = play(&subject, &CALM.parse().unwrap());
    for step in &mut subject.plan.steps {
        if let StepKind::Uses(action) = &mut step.kind {
            action.grants.values_mut().for_each(|effect| *effect = Effect::Mutate);
        }
    }
    let ending = Ending::of(&played);
    assert_eq!(codes(&Evidence::of(&subject.plan, &played, &ending, None)), ["test-identity-first"]);
}
