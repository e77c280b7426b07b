//! Journals: any bytes are read, or refused with a line; any events are applied, or refused, and the engine goes on from there.

use lifeboat_core::{event::Event, input::Input, plan::Plan, run::Run};
use lifeboat_runtime::{
    driver::{fold, interrupted},
    journal::{Journal, Problem, read},
};

use super::world::{now, plan, started, take};

const RUNBOOK: &str = include_str!("journal.yaml");

/// The bytes of a journal.
pub(crate) fn journal(data: &[u8]) {
    match read(data) {
        Ok(contents) => {
            assert_eq!(contents.end.length + contents.torn_bytes, data.len() as u64);
            assert_eq!(contents.end.seq, contents.records.len() as u64);
            let whole = usize::try_from(contents.end.length).expect("a length");
            let again = read(&data[..whole]).expect("what was read once is read again");
            assert_eq!((again.records, again.end), (contents.records.clone(), contents.end));
            if let Err(damage) = fold(&the_plan(), &contents.records) {
                assert!(matches!(damage.problem, Problem::Illegal(_)), "{damage:?}");
            }
        }
        Err(damage) => {
            let lines = data.iter().filter(|byte| **byte == b'\n').count() as u64;
            assert!((1..=lines).contains(&damage.line), "{damage:?} of {lines} lines");
        }
    }
}

/// How many of the lines are legal events.
#[cfg(test)]
pub(crate) fn legal_events(data: &[u8]) -> usize {
    let plan = the_plan();
    let mut run = Run::new(&plan);
    run.apply(now(), &Event::RunStarted(started(&plan, serde_json::json!({})))).expect("every run may start");
    let events = data.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Event>(line).ok());
    events.filter(|event| run.apply(now(), event).is_ok()).count()
}

/// A line an event: those that are events and legal make a journal, which is read back as it was written.
pub(crate) fn events(data: &[u8]) {
    let plan = the_plan();
    let mut run = Run::new(&plan);
    let start = started(&plan, serde_json::json!({}));
    let mut journal = Journal::begin(Vec::new(), &start.run);
    let first = Event::RunStarted(start);
    run.apply(now(), &first).expect("every run may start");
    let mut legal = vec![first];
    for line in data.split(|byte| *byte == b'\n') {
        let Ok(event) = serde_json::from_slice::<Event>(line) else { continue };
        let before = run.clone();
        match run.apply(now(), &event) {
            Ok(()) => legal.push(event),
            Err(_) => assert_eq!(run, before, "a refused event changes nothing"),
        }
    }
    journal.append(now(), &legal).expect("memory takes everything");
    let contents = read(journal.medium()).expect("what was written is read");
    assert_eq!(
        contents.records.iter().map(|record| &record.event).collect::<Vec<_>>(),
        legal.iter().collect::<Vec<_>>()
    );
    assert_eq!(fold(&plan, &contents.records).expect("legal events"), run);
    for input in interrupted(&run).iter().chain([&Input::Tick]) {
        let _ = take(&plan, &mut run, input);
    }
}

fn the_plan() -> Plan {
    plan(RUNBOOK).expect("the runbook of this target is right")
}
