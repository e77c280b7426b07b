//! Journals of format 1 that are kept as they were written: every engine from now on must load them, at every length, and go on
//! from there to an end.
//!
//! `tests/golden/NAME` has the plan and the journal of a run. They are never written again. A new kind of event needs a new
//! one: add a story to `golden_stories`, run the tests once with `LIFEBOAT_GOLDEN=write`, and read what came of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::PathBuf,
};

use lifeboat_core::{event::Event, plan::Plan, run::Phase};
use lifeboat_runtime::{
    driver::fold,
    journal::{Contents, Recorded, read},
};
use lifeboat_virtual::{Case, LifeEnd, resume};
use serde_json::Value;

use crate::golden_stories::{Story, stories, subject};

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
        stories().into_iter().for_each(write);
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

fn write(story: Story) {
    let path = folder().join(story.name);
    if !path.exists() {
        let journal = story.tell().journal;
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("plan.json"), serde_json::to_vec(&story.plan).unwrap()).unwrap();
        fs::write(path.join("journal.jsonl"), journal).unwrap();
    }
}

/// Goes on from what an engine left, until the run is over.
fn go_on(golden: &Golden, bytes: &[u8]) {
    let contents = read(bytes).unwrap();
    assert_eq!(contents.end.length + contents.torn_bytes, bytes.len() as u64);
    let played = resume(&subject(&golden.plan), &Case::calm(7), bytes);
    let finished = matches!(played.lives.last(), Some(LifeEnd::Finished(_)));
    assert!(finished, "{} at byte {}: {:?}", golden.name, bytes.len(), played.lives);
    let kept = &bytes[..usize::try_from(contents.end.length).unwrap()];
    assert!(played.journal.starts_with(kept), "{}: what was there is kept", golden.name);
    assert_eq!(fold(&golden.plan, &read(&played.journal).unwrap().records).unwrap(), played.run);
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
        let story = stories().into_iter().find(|story| story.name == golden.name);
        assert_eq!(story.map(|story| story.ends), Some(outcome), "{}", golden.name);
    }
}

#[test]
fn every_prefix_of_a_golden_journal_goes_on_to_an_end() {
    for golden in all() {
        for prefix in prefixes(&golden.journal).into_iter().skip(1) {
            go_on(&golden, prefix);
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
            go_on(&golden, torn);
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

fn kinds_in(records: &[Recorded]) -> BTreeSet<String> {
    records.iter().map(kind).collect()
}

/// What was written then is what an engine writes now: the same story has the same end, and every kind of event that it had.
#[test]
fn every_story_is_told_as_it_was() {
    let kept: BTreeMap<_, _> = all().into_iter().map(|golden| (golden.name.clone(), golden)).collect();
    for story in stories() {
        let told = story.tell();
        assert_eq!(told.lives.last(), Some(&LifeEnd::Finished(story.ends)), "{}: {:?}", story.name, told.lives);
        let golden = &kept[story.name];
        assert_eq!(story.plan, golden.plan, "{}", story.name);
        let (now, then) = (kinds_in(&told.records), kinds_in(&whole(golden).records));
        assert!(now.is_superset(&then), "{}: {:?}", story.name, then.difference(&now).collect::<Vec<_>>());
    }
}

#[test]
fn every_kind_of_event_is_in_a_golden_journal() {
    let kept: BTreeSet<String> = all().iter().flat_map(|golden| kinds_in(&whole(golden).records)).collect();
    let missing: Vec<_> = kinds().difference(&kept).cloned().collect();
    assert!(missing.is_empty(), "kinds of events without a golden journal (see the head of this file): {missing:?}");
}
