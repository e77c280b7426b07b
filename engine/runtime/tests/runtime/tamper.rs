//! The chain of hashes: what anybody changed in a journal shows.

use jiff::Timestamp;
use lifeboat_core::{
    event::Event,
    name::RunId,
    sketch::{chain, started},
};
use lifeboat_runtime::journal::{Journal, Problem, read};
use proptest::prelude::*;

fn journal() -> Vec<u8> {
    journal_of("dr-003-20261121-7f3a")
}

fn journal_of(run: &str) -> Vec<u8> {
    let run = RunId::new(run).unwrap();
    let plan = chain(4);
    let mut journal = Journal::begin(Vec::new(), &run);
    let mut events = vec![Event::RunStarted(started(&plan, &run))];
    events.extend(plan.steps.into_iter().map(|step| Event::StepCancelled { step: step.id }));
    journal.append(Timestamp::UNIX_EPOCH, &events).unwrap();
    journal.medium().clone()
}

/// Where the last line begins: the chain says nothing of that one.
fn last_line(journal: &[u8]) -> usize {
    journal[..journal.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1
}

proptest! {
    #[test]
    fn a_changed_byte_is_found(place in any::<prop::sample::Index>(), change in 1..=255_u8) {
        let mut journal = journal();
        let place = place.index(last_line(&journal));
        journal[place] ^= change;
        let damage = read(&journal).unwrap_err();
        let line = journal[..place].iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        prop_assert!((line..=line + 1).contains(&damage.line), "byte {place} of line {line}: {damage}");
    }

    #[test]
    fn a_moved_or_missing_line_is_found(from in 0..4_usize, to in 0..5_usize) {
        let journal = journal();
        let mut lines: Vec<&[u8]> = journal.split_inclusive(|&byte| byte == b'\n').collect();
        let line = lines.remove(from);
        let damage = read(&lines.concat()).unwrap_err();
        prop_assert_eq!(damage.line, from as u64 + 1);
        if to != from {
            lines.insert(to.min(lines.len()), line);
            read(&lines.concat()).unwrap_err();
        }
    }
}

fn lines(journal: &[u8]) -> Vec<&[u8]> {
    journal.split_inclusive(|&byte| byte == b'\n').collect()
}

#[test]
fn a_spliced_line_is_found_where_it_stands() {
    let (journal, other) = (journal(), journal_of("dr-003-20261122-1111"));
    for at in 1..=4 {
        let mut spliced = lines(&journal);
        spliced[at] = lines(&other)[at];
        let damage = read(&spliced.concat()).unwrap_err();
        assert_eq!((damage.line, damage.problem), (at as u64 + 1, Problem::Chain), "replaced");
        let tail = [&lines(&journal)[..at], &lines(&other)[at..]].concat();
        assert_eq!(read(&tail.concat()).unwrap_err().line, at as u64 + 1, "the tail of another journal");
        let mut doubled = lines(&journal);
        doubled.insert(at, doubled[at]);
        assert_eq!(read(&doubled.concat()).unwrap_err().line, at as u64 + 2, "doubled");
    }
}

#[test]
fn what_a_newer_engine_wrote_is_no_damage() {
    let journal = String::from_utf8(journal()).unwrap();
    let newer = |from: &str, to: &str| {
        let damage = read(journal.replacen(from, to, 1).as_bytes()).unwrap_err();
        (damage.line, damage.code(), damage.to_string())
    };
    let (line, code, says) = newer("\"format\":1", "\"format\":2,\"colour\":\"red\"");
    assert!(line == 1 && code == "run-journal-format" && says.contains("format 2"), "{says}");
    let (line, code, says) = newer("\"event\":\"step_cancelled\"", "\"event\":\"step_painted\",\"colour\":\"red\"");
    assert!(line == 2 && code == "run-journal-format" && says.contains("`step_painted`"), "{says}");
    // Out of its place it is damage like any other.
    let moved = journal.replacen("\"event\":\"step_cancelled\"", "\"event\":\"step_painted\"", 2);
    assert_eq!(read(moved.as_bytes()).unwrap_err().line, 2);
    let (line, code, _) = newer("{\"seq\":3,", "{\"seq\":4,");
    assert_eq!((line, code), (3, "run-journal-damaged"));
    assert_eq!(
        newer("\"event\":\"step_cancelled\",\"step\"", "\"event\":\"step_cancelled\",\"stop\"").1,
        "run-journal-damaged"
    );
}
