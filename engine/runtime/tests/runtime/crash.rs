//! The laws of recovery, in a virtual world: wherever the engine is ended, a resumed run reaches the same end, and nothing
//! that must happen once happens twice.

use crate::plans::{Repeat, approve, chain, id, or_undo, plan, started, uses, with_undo};
use crate::virtual_world::{Crash, Systems, VirtualWorld};
use futures::executor::block_on;
use lifeboat_core::{
    event::{Event, Outcome},
    input::Input,
    name::RunId,
    plan::Plan,
    run::Run,
};
use lifeboat_runtime::{
    driver::{drive, fold, interrupted},
    journal::{Journal, read},
    session::How,
};

fn run_id() -> RunId {
    RunId::new("dr-003-20261121-7f3a").unwrap()
}

/// What is left of a session: how it ended (`None`: the engine was cut off), the journal, and the systems.
struct Left {
    how: Option<How>,
    journal: Vec<u8>,
    systems: Systems,
}

fn first_session(plan: &Plan, seed: u64, crash: Crash, systems: Systems) -> Left {
    let opening = vec![Input::Start(Box::new(started(plan, &run_id())))];
    session(
        plan,
        Run::new(plan),
        opening,
        VirtualWorld::new(seed, crash, Journal::begin(Vec::new(), &run_id()), systems),
    )
}

fn next_session(plan: &Plan, seed: u64, crash: Crash, left: Left) -> Left {
    let contents = read(&left.journal).unwrap();
    if contents.records.is_empty() {
        return first_session(plan, seed, crash, left.systems);
    }
    let run = fold(plan, &contents.records).unwrap();
    let journal = Journal::go_on(left.journal, contents.end, contents.torn_bytes).unwrap();
    let opening = interrupted(&run);
    session(plan, run, opening, VirtualWorld::new(seed, crash, journal, left.systems))
}

fn session(plan: &Plan, run: Run, opening: Vec<Input>, mut world: VirtualWorld) -> Left {
    let driven = block_on(drive(plan, run, opening, &mut world)).ok();
    let (journal, systems) = world.end();
    let read_back = read(&journal).unwrap();
    let folded = fold(plan, &read_back.records).unwrap();
    if let Some((run, _)) = &driven {
        assert_eq!(*run, folded, "the state is the fold of the journal");
    }
    Left { how: driven.map(|(_, how)| how), journal, systems }
}

/// At least as many as the decisions of a run without a crash.
fn decisions(journal: &[u8]) -> u64 {
    read(journal).unwrap().records.len() as u64
}

#[track_caller]
fn check_every_crash(plan: &Plan, systems: &Systems, expected: Outcome) {
    let whole = first_session(plan, 7, Crash::Never, systems.clone());
    assert_eq!(whole.how, Some(How::Finished(expected)));
    for number in 1..=decisions(&whole.journal) {
        for crash in [Crash::After(number), Crash::During(number), Crash::Stop(number)] {
            for seed in 0..4 {
                let cut = first_session(plan, seed, crash, systems.clone());
                check_what_began(plan, &cut, crash);
                let twice = next_session(plan, seed + 100, Crash::After(2), cut);
                let end = next_session(plan, seed + 200, Crash::Never, twice);
                assert_eq!(end.how, Some(How::Finished(expected)), "{crash:?}, seed {seed}");
                check_end(plan, &end, expected, crash);
            }
        }
    }
}

/// An engine that was told to stop has recorded nothing as started that it did not start.
#[track_caller]
fn check_what_began(plan: &Plan, cut: &Left, crash: Crash) {
    if !matches!(crash, Crash::Stop(_)) {
        return;
    }
    let events = read(&cut.journal).unwrap().records.into_iter().map(|record| record.event);
    let started = events.filter(|event| matches!(event, Event::StepStarted { .. })).count();
    let begun: u32 = plan.steps.iter().map(|step| cut.systems.begun.get(&step.id).copied().unwrap_or(0)).sum();
    assert_eq!(started as u32, begun, "{crash:?}");
}

#[track_caller]
fn check_end(plan: &Plan, end: &Left, expected: Outcome, crash: Crash) {
    for step in plan.steps.iter().filter(|step| step.action().is_some()) {
        match expected {
            Outcome::Succeeded => assert!(end.systems.effects.contains_key(&step.id), "{}: {crash:?}", step.id),
            Outcome::RolledBack if step.undo.is_some() && end.systems.effects.contains_key(&step.id) => {
                assert!(end.systems.undone.contains(&step.id), "{}: {crash:?}", step.id);
            }
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
    let mut systems = Systems::of(&plan);
    systems.flaky.insert(id("announce"), 2);
    systems.flaky.insert(id("check"), 1);
    check_every_crash(&plan, &systems, Outcome::Succeeded);
}

#[test]
fn parallel_steps_survive_every_crash() {
    let plan = plan(vec![
        uses("left", &[], Repeat::Observable),
        uses("right", &[], Repeat::Opaque),
        uses("middle", &[], Repeat::Idempotent),
        uses("join", &[0, 1, 2], Repeat::Observable),
    ]);
    check_every_crash(&plan, &Systems::of(&plan), Outcome::Succeeded);
}

#[test]
fn taking_back_survives_every_crash() {
    let plan = plan(vec![
        with_undo(uses("fence", &[], Repeat::Idempotent)),
        with_undo(uses("restore", &[0], Repeat::Observable)),
        or_undo(uses("merge", &[1], Repeat::Observable)),
    ]);
    let mut systems = Systems::of(&plan);
    systems.broken.insert(id("merge"));
    check_every_crash(&plan, &systems, Outcome::RolledBack);
}

#[test]
fn the_same_seed_gives_the_same_journal() {
    let plan = chain(10);
    let mut systems = Systems::of(&plan);
    systems.flaky.insert(id("step-3"), 2);
    let journal = |seed| first_session(&plan, seed, Crash::Never, systems.clone()).journal;
    assert_eq!(journal(1), journal(1));
    assert_ne!(journal(1), journal(2), "a seed that changes nothing proves nothing");
}

#[test]
fn a_journal_cut_at_any_byte_is_a_torn_one() {
    let plan = chain(3);
    let whole = first_session(&plan, 1, Crash::Never, Systems::of(&plan)).journal;
    for length in 0..whole.len() {
        let contents = read(&whole[..length]).unwrap();
        assert_eq!(contents.end.length + contents.torn_bytes, length as u64);
        assert!(!whole[..length].ends_with(b"\n") || contents.torn_bytes == 0, "a whole line lost at byte {length}");
        fold(&plan, &contents.records).unwrap();
    }
}
