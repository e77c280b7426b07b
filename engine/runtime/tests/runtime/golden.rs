//! Journals of format 1 that are kept as they were written: every engine from now on must load them, at every length, and go on
//! from there to an end.
//!
//! `tests/golden/NAME` has the plan and the journal of a run. They are never written again. A new kind of event needs a new
//! one: add a case to `golden_cases`, run the tests once with `LIFEBOAT_GOLDEN=write`, and read what came of it.

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use futures::executor::block_on;
use lifeboat_core::{
    event::Event,
    operator::Command,
    plan::Plan,
    run::{Phase, Run},
};
use lifeboat_runtime::{
    driver::{drive, fold, interrupted},
    journal::{Contents, Journal, Recorded, read},
    session::How,
};
use serde_json::Value;

use crate::{
    golden_cases::{Case, cases, wants},
    virtual_world::{Crash, Systems, VirtualWorld},
};

struct Golden {
    name: String,
    plan: Plan,
    /// Of the file: a later engine may know more of a plan than stands there.
    plan_digest: String,
    journal: Vec<u8>,
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
}

/// The kept journals, after writing those that are missing where that was asked for.
fn all() -> Vec<Golden> {
    if env::var_os("LIFEBOAT_GOLDEN").is_some_and(|value| value == "write") {
        cases().into_iter().for_each(write);
    }
    let mut all: Vec<Golden> = fs::read_dir(folder()).unwrap().map(|entry| load(entry.unwrap().path())).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn load(path: PathBuf) -> Golden {
    let bytes = fs::read(path.join("plan.json")).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let plan = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("the plan of {name} is not read: {error}"));
    let journal = fs::read(path.join("journal.jsonl")).unwrap();
    Golden { name, plan, plan_digest: Plan::digest_of(&bytes), journal }
}

fn write(case: Case) {
    let path = folder().join(case.name);
    if !path.exists() {
        let journal = case.play();
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("plan.json"), serde_json::to_vec(&case.plan).unwrap()).unwrap();
        fs::write(path.join("journal.jsonl"), journal).unwrap();
    }
}

/// Goes on from what an engine left, until the run is over.
fn go_on(golden: &Golden, bytes: &[u8], contents: Contents) -> Run {
    let run = fold(&golden.plan, &contents.records).unwrap();
    let mut opening = interrupted(&run);
    opening.extend(run.pause.is_some().then(|| wants(Command::Unpause { reason: None })));
    let (length, torn) = (contents.end.length, contents.torn_bytes);
    assert_eq!(length + torn, bytes.len() as u64);
    let journal = Journal::go_on(bytes.to_vec(), contents.end, torn).unwrap();
    let mut world = VirtualWorld::new(7, Crash::Never, journal, Systems::of(&golden.plan));
    let (run, how) = block_on(drive(&golden.plan, run, opening, &mut world)).unwrap();
    assert!(matches!(how, How::Finished(_)), "{} at byte {}: {how:?}", golden.name, bytes.len());
    let (journal, _) = world.end();
    assert!(journal.starts_with(&bytes[..usize::try_from(length).unwrap()]), "{}: what was there is kept", golden.name);
    assert_eq!(fold(&golden.plan, &read(&journal).unwrap().records).unwrap(), run);
    run
}

fn whole(golden: &Golden) -> Contents {
    read(&golden.journal).unwrap_or_else(|damage| panic!("{}: {damage}", golden.name))
}

#[test]
fn every_golden_journal_leads_to_its_end() {
    for golden in all() {
        let contents = whole(&golden);
        let Some(Event::RunFinished { outcome }) = contents.records.last().map(|record| record.event.clone()) else {
            panic!("{}: a whole run has an end", golden.name);
        };
        let Event::RunStarted(started) = &contents.records[0].event else { panic!("{}: no start", golden.name) };
        assert_eq!(started.plan_digest, golden.plan_digest, "{}: the plan is that of the journal", golden.name);
        let run = fold(&golden.plan, &contents.records).unwrap_or_else(|damage| panic!("{}: {damage}", golden.name));
        assert!(matches!(run.phase, Phase::Finished { outcome: end, .. } if end == outcome), "{}", golden.name);
        let case = cases().into_iter().find(|case| case.name == golden.name);
        assert_eq!(case.map(|case| case.ends), Some(outcome), "{}", golden.name);
    }
}

#[test]
fn every_prefix_of_a_golden_journal_goes_on_to_an_end() {
    for golden in all() {
        for prefix in prefixes(&golden.journal).into_iter().skip(1) {
            go_on(&golden, prefix, read(prefix).unwrap());
        }
    }
}

#[test]
fn a_golden_journal_torn_at_any_byte_is_that_of_the_record_before() {
    for golden in all() {
        let prefixes = prefixes(&golden.journal);
        for pair in prefixes.windows(2) {
            let before = read(pair[0]).unwrap();
            for length in pair[0].len() + 1..pair[1].len() {
                let torn = read(&golden.journal[..length]).unwrap();
                assert_eq!((&torn.records, &torn.end), (&before.records, &before.end), "{} at {length}", golden.name);
                assert_eq!(torn.torn_bytes, (length - pair[0].len()) as u64);
            }
        }
        let [.., before, last] = &prefixes[..] else { panic!("{}: one record", golden.name) };
        for length in before.len()..=last.len() {
            let torn = &golden.journal[..length];
            go_on(&golden, torn, read(torn).unwrap());
        }
    }
}

/// The journal after each record, the empty one first.
fn prefixes(journal: &[u8]) -> Vec<&[u8]> {
    let ends = journal.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(ends).map(|end| &journal[..end]).collect()
}

/// Every kind of event, as the decoder lists them where it is given another one.
fn kinds() -> BTreeSet<String> {
    let error = serde_json::from_str::<Event>(r#"{"event": ""}"#).unwrap_err().to_string();
    let (_, list) = error.split_once("expected one of ").unwrap();
    let kinds: BTreeSet<String> = list.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(kinds.len() > 20, "{error}");
    kinds
}

fn kind(record: &Recorded) -> String {
    match serde_json::to_value(&record.event).unwrap() {
        Value::Object(fields) => fields["event"].as_str().unwrap().to_owned(),
        other => panic!("{other}"),
    }
}

#[test]
fn every_kind_of_event_is_in_a_golden_journal() {
    let kept: BTreeSet<String> =
        all().iter().flat_map(|golden| whole(golden).records).map(|record| kind(&record)).collect();
    let missing: Vec<_> = kinds().difference(&kept).cloned().collect();
    assert!(missing.is_empty(), "kinds of events without a golden journal (see the head of this file): {missing:?}");
}
