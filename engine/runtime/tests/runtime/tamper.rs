//! The chain of hashes: what anybody changed in a journal shows.

use jiff::Timestamp;
use lifeboat_core::{event::Event, name::RunId};
use lifeboat_runtime::journal::{Journal, read};
use proptest::prelude::*;

use crate::plans::{chain, started};

fn journal() -> Vec<u8> {
    let run = RunId::new("dr-003-20261121-7f3a").unwrap();
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
