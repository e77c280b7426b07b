//! The laws of recovery, in the virtual world: wherever the engine is ended, a resumed run reaches the same end, and nothing
//! that must happen once happens twice.

use std::fmt;

use jiff::SignedDuration;
use lifeboat_core::{
    event::{Event, Outcome},
    input::Purpose,
    plan::Plan,
    sketch::{Repeat, approve, chain, or_undo, plan, uses, with_undo},
};
use lifeboat_runtime::{driver::fold, journal::read};
use lifeboat_virtual::{Case, LifeEnd, Played, Subject, judge, play};

const SEEDS: [u64; 4] = [0, 1, 2, 3];

/// How an engine ends at a decision.
const ENDS: [(&str, LifeEnd); 3] =
    [("crash-after", LifeEnd::Died), ("crash-during", LifeEnd::Died), ("stop", LifeEnd::Stopped)];

fn subject(plan: Plan) -> Subject {
    Subject::new(plan, SignedDuration::from_hours(1))
}

fn case(text: impl fmt::Display) -> Case {
    text.to_string().parse().unwrap()
}

/// Ends an engine at each decision of the run in each way, the next one after two decisions more, and lets a third come to the end.
/// `flaws` go wrong in every run.
#[track_caller]
fn check_every_crash(plan: Plan, flaws: &str, expected: Outcome) {
    let subject = subject(plan);
    for seed in SEEDS {
        let calm = format!("{seed} {flaws}");
        let whole = play(&subject, &case(&calm));
        assert_eq!(whole.lives, [LifeEnd::Finished(expected)]);
        let mut stopped = 0;
        for number in 1..=whole.truth.durable.len() {
            for (fault, end) in &ENDS {
                let once = format!("{calm} {fault}@{number}");
                let cut = play(&subject, &case(&once));
                // What is in flight when an engine is told to stop may be all that was left to do.
                let is_whole = *fault == "stop" && cut.lives == [LifeEnd::Finished(expected)];
                assert!(cut.lives[0] == *end || is_whole, "{once}: {:?}", cut.lives);
                stopped += u32::from(cut.lives[0] == LifeEnd::Stopped);
                check_state(&subject.plan, &cut, &once);
                check_what_began(&cut, &once);

                let twice = format!("{once} crash-after@{}", tried(&cut, number) + 2);
                let (played, broken) = judge(&subject, &case(&twice));
                assert_eq!(broken, [], "{twice}");
                assert_eq!(played.lives.last(), Some(&LifeEnd::Finished(expected)), "{twice}");
                check_state(&subject.plan, &played, &twice);
                check_end(&subject, &played, expected, &twice);
            }
        }
        assert!(stopped > 1, "{calm}: no engine had anything to stop");
    }
}

/// How many decisions the first engine tried to write: the one at which it was ended, and those of its winding down.
fn tried(cut: &Played, number: usize) -> usize {
    cut.truth.durable.iter().filter(|(seq, _)| *seq <= cut.truth.left[0]).count().max(number)
}

/// The state of an engine is what its journal tells: of the last one here, of each before it when the next one reads the journal.
#[track_caller]
fn check_state(plan: &Plan, played: &Played, case: &str) {
    assert_eq!(fold(plan, &read(&played.journal).unwrap().records).unwrap(), played.run, "{case}");
}

/// The first engine has recorded nothing as started that it did not start, where it was told to stop.
#[track_caller]
fn check_what_began(cut: &Played, case: &str) {
    if cut.lives[0] == LifeEnd::Stopped {
        let records = cut.records.iter().filter(|record| record.seq <= cut.truth.left[0]);
        let started = records.filter(|record| matches!(record.event, Event::StepStarted { .. })).count();
        let begun = cut.truth.calls.iter().filter(|call| call.life == 0 && call.purpose == Purpose::Run).count();
        assert_eq!(started, begun, "{case}");
    }
}

#[track_caller]
fn check_end(subject: &Subject, end: &Played, expected: Outcome, case: &str) {
    for step in subject.plan.steps.iter().filter(|step| step.action().is_some()) {
        match expected {
            Outcome::Succeeded => assert!(end.truth.standing_effect(&step.id).is_some(), "{}: {case}", step.id),
            Outcome::RolledBack if step.undo.is_some() => assert!(!end.truth.is_left(&step.id), "{}: {case}", step.id),
            _ => {}
        }
    }
}

#[test]
fn a_chain_of_every_kind_survives_every_crash() {
    let plan = plan(vec![
        uses("announce", &[], Repeat::Idempotent),
        uses("restore", &[0], Repeat::Observable),
        approve("sign-off", &[1]),
        uses("merge", &[2], Repeat::Opaque),
        uses("check", &[3], Repeat::Idempotent),
    ]);
    let flaws = "transient@announce#1 transient@announce#2 transient@check#1";
    check_every_crash(plan, flaws, Outcome::Succeeded);
}

#[test]
fn parallel_steps_survive_every_crash() {
    let plan = plan(vec![
        uses("left", &[], Repeat::Observable),
        uses("right", &[], Repeat::Opaque),
        uses("middle", &[], Repeat::Idempotent),
        uses("join", &[0, 1, 2], Repeat::Observable),
    ]);
    check_every_crash(plan, "", Outcome::Succeeded);
}

#[test]
fn taking_back_survives_every_crash() {
    let plan = plan(vec![
        with_undo(uses("fence", &[], Repeat::Idempotent)),
        with_undo(uses("restore", &[0], Repeat::Observable)),
        or_undo(uses("merge", &[1], Repeat::Observable)),
    ]);
    check_every_crash(plan, "permanent@merge#1", Outcome::RolledBack);
}

#[test]
fn a_journal_cut_at_any_byte_is_a_torn_one() {
    let subject = subject(chain(3));
    let whole = play(&subject, &Case::calm(1)).journal;
    for length in 0..whole.len() {
        let contents = read(&whole[..length]).unwrap();
        assert_eq!(contents.end.length + contents.torn_bytes, length as u64);
        assert!(!whole[..length].ends_with(b"\n") || contents.torn_bytes == 0, "a whole line lost at byte {length}");
        fold(&subject.plan, &contents.records).unwrap();
    }
}
