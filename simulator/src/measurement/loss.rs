//! Which acknowledged writes are missing after the recovery, and which records should not exist.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    chain::{self, Link},
    final_state::{FinalRecord, FinalState},
};
use crate::ledger::{Baseline, History, Key, WriteId, WriteOutcome};

/// What is wrong with an existing record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnexpectedKind {
    /// The application deleted it, and it is back.
    RaisedFromTheDead,
    /// No write in the ledger can have made it.
    NeverWritten,
    /// It names a write as its origin, but does not have the content of that write.
    WrongContent,
}

/// A record that should not exist, or not in this state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unexpected {
    /// The record.
    pub key: Key,
    /// What is wrong with it.
    pub kind: UnexpectedKind,
}

/// What the final state says about the ledger's writes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Losses {
    /// Indexes in `History::writes` of acknowledged writes whose effect is missing.
    pub lost: BTreeSet<usize>,
    /// Loaded records that should exist and do not.
    pub lost_loaded: BTreeSet<Key>,
    /// Unknown writes whose effect is present.
    pub unknown_found: BTreeSet<usize>,
    /// Unknown writes whose effect is missing.
    pub unknown_missing: BTreeSet<usize>,
    /// Unknown writes whose effect cannot be determined because a later write replaced the record.
    pub unknown_hidden: BTreeSet<usize>,
    /// Records that should not exist, or not in this state, ordered by key.
    pub unexpected: Vec<Unexpected>,
    /// Records that are not in a state that the acknowledged writes allow, ordered.
    pub wrong: BTreeSet<Key>,
}

/// Compares the ledger with the final state.
pub fn losses(history: &History, state: &FinalState) -> Losses {
    let chains = chains(history, state);
    let mut found = Losses::default();
    for (key, links) in &chains {
        examine(&mut found, key, links, state.get(key));
    }
    let strangers = state.keys().filter(|key| !chains.contains_key(key));
    let strangers = strangers.map(|key| Unexpected { key: key.clone(), kind: UnexpectedKind::NeverWritten });
    found.unexpected.extend(strangers);
    found.unexpected.sort_by(|one, other| one.key.cmp(&other.key));
    sort_unknown(history, &mut found);
    found
}

/// The chain of each record. An insert without an answer has no key; the record that carries its id provides it.
fn chains(history: &History, state: &FinalState) -> BTreeMap<Key, Vec<Link>> {
    let mut chains: BTreeMap<Key, Vec<Link>> = BTreeMap::new();
    for (key, parent) in &history.baseline.records {
        let after = Some(Baseline::state(parent.clone()));
        chains.insert(key.clone(), vec![Link { write: None, id: 0, acknowledged: true, after }]);
    }
    let keyless = history.writes.iter().filter(|write| write.changes.iter().any(|change| change.id.is_none()));
    let keyless: BTreeSet<WriteId> = keyless.map(|write| write.id).collect();
    let by_write = state.iter().filter(|(_, record)| keyless.contains(&record.write));
    let by_write: BTreeMap<WriteId, &Key> = by_write.map(|(key, record)| (record.write, key)).collect();
    for (index, write) in history.writes.iter().enumerate() {
        for change in &write.changes {
            let key = change.key().or_else(|| by_write.get(&write.id).copied().cloned());
            let link = Link::of(index, write.id, write.outcome, change.after.clone());
            if let (Some(key), Some(link)) = (key, link) {
                chains.entry(key).or_default().push(link);
            }
        }
    }
    chains
}

fn examine(found: &mut Losses, key: &Key, links: &[Link], record: Option<&FinalRecord>) {
    let shown = chain::shown(links, record);
    if shown.is_none() {
        let stranger = record.is_some_and(|record| links.iter().all(|link| link.id != record.write));
        let kind = if stranger { UnexpectedKind::NeverWritten } else { UnexpectedKind::WrongContent };
        found.unexpected.push(Unexpected { key: key.clone(), kind });
    }
    let shown = shown.unwrap_or(0);
    let mut missing = links[shown..].iter().filter(|link| link.acknowledged).peekable();
    if missing.peek().is_some() {
        found.wrong.insert(key.clone());
        if record.is_some() && chain::is_deleted(links) {
            found.unexpected.push(Unexpected { key: key.clone(), kind: UnexpectedKind::RaisedFromTheDead });
        }
    }
    for link in missing {
        match link.write {
            Some(write) => drop(found.lost.insert(write)),
            None if record.is_none() && chain::must_exist(links) => drop(found.lost_loaded.insert(key.clone())),
            None => {}
        }
    }
    if let Some(last) = shown.checked_sub(1).map(|last| &links[last])
        && let (Some(write), false) = (last.write, last.acknowledged)
    {
        found.unknown_found.insert(write);
    }
    let unanswered = |links: &[Link]| {
        links.iter().filter(|link| !link.acknowledged).filter_map(|link| link.write).collect::<Vec<_>>()
    };
    found.unknown_missing.extend(unanswered(&links[shown..]));
    found.unknown_hidden.extend(unanswered(&links[..shown.saturating_sub(1)]));
}

/// An unknown write of several records counts once: found if one of its records shows it, else missing, else hidden. A write
/// without a key that no record shows is missing.
fn sort_unknown(history: &History, found: &mut Losses) {
    for (index, write) in history.writes.iter().enumerate() {
        let unanswered = matches!(write.outcome, WriteOutcome::Unknown | WriteOutcome::Pending);
        if !unanswered {
            continue;
        }
        if found.unknown_found.contains(&index) {
            found.unknown_missing.remove(&index);
            found.unknown_hidden.remove(&index);
        } else if found.unknown_missing.contains(&index) {
            found.unknown_hidden.remove(&index);
        } else if !found.unknown_hidden.contains(&index) {
            found.unknown_missing.insert(index);
        }
    }
}
