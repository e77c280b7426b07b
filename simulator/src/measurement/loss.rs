//! Which acknowledged writes are missing after the recovery, and what is there that should not be.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::chain::{self, Link};
use crate::ledger::{History, RowKey, RowState, WriteId, WriteOutcome};

/// A row as the full read after the drill found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinalRow {
    /// The write it says it is from.
    pub write: WriteId,
    /// Version and parent.
    pub state: RowState,
    /// Whether its other columns are what that write put there.
    pub intact: bool,
}

/// Every row that the full read found.
pub type FinalState = HashMap<RowKey, FinalRow>;

/// What is wrong with a row that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnexpectedKind {
    /// The application deleted it, and it is back.
    RaisedFromTheDead,
    /// No write in the ledger can have made it.
    NeverWritten,
    /// It says that it is from a write, but its content is not.
    WrongContent,
}

/// A row that should not be there, or not so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unexpected {
    /// The row.
    pub key: RowKey,
    /// What is wrong with it.
    pub kind: UnexpectedKind,
}

/// What the final state says of the ledger's writes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Losses {
    /// Places in `History::writes` of acknowledged writes whose effect is not there.
    pub lost: BTreeSet<usize>,
    /// Loaded rows that should be there and are not.
    pub lost_loaded: BTreeSet<RowKey>,
    /// Unknown writes whose effect is there.
    pub unknown_found: BTreeSet<usize>,
    /// Unknown writes whose effect is not there.
    pub unknown_missing: BTreeSet<usize>,
    /// Unknown writes of which nothing can be said, because a later write replaced the row.
    pub unknown_hidden: BTreeSet<usize>,
    /// Rows that should not be there, or not so, ordered by key.
    pub unexpected: Vec<Unexpected>,
    /// Rows that are not in a state that the acknowledged writes allow, ordered.
    pub wrong_rows: BTreeSet<RowKey>,
}

/// Compares the ledger with the final state.
pub fn losses(history: &History, state: &FinalState) -> Losses {
    let chains = chains(history, state);
    let mut found = Losses::default();
    for (key, links) in &chains {
        examine(&mut found, *key, links, state.get(key));
    }
    let strangers = state.keys().filter(|key| !chains.contains_key(key));
    let strangers = strangers.map(|key| Unexpected { key: *key, kind: UnexpectedKind::NeverWritten });
    found.unexpected.extend(strangers);
    found.unexpected.sort_by_key(|row| row.key);
    sort_unknown(history, &mut found);
    found
}

/// The chain of each row. An insert whose answer never came has no key; the row that carries its id tells it.
fn chains(history: &History, state: &FinalState) -> BTreeMap<RowKey, Vec<Link>> {
    let mut chains: BTreeMap<RowKey, Vec<Link>> = BTreeMap::new();
    for (key, parent) in &history.baseline.rows {
        let after = Some(RowState { version: 1, parent: *parent });
        chains.insert(*key, vec![Link { write: None, id: 0, acknowledged: true, after }]);
    }
    let keyless = history.writes.iter().filter(|write| write.rows.iter().any(|row| row.id.is_none()));
    let keyless: BTreeSet<WriteId> = keyless.map(|write| write.id).collect();
    let by_write = state.iter().filter(|(_, row)| keyless.contains(&row.write));
    let by_write: BTreeMap<WriteId, RowKey> = by_write.map(|(key, row)| (row.write, *key)).collect();
    for (index, write) in history.writes.iter().enumerate() {
        for change in &write.rows {
            let key = change.key().or_else(|| by_write.get(&write.id).copied());
            let link = Link::of(index, write.id, write.outcome, change.after);
            if let (Some(key), Some(link)) = (key, link) {
                chains.entry(key).or_default().push(link);
            }
        }
    }
    chains
}

fn examine(found: &mut Losses, key: RowKey, links: &[Link], row: Option<&FinalRow>) {
    let shown = chain::shown(links, row);
    if shown.is_none() {
        let stranger = row.is_some_and(|row| links.iter().all(|link| link.id != row.write));
        let kind = if stranger { UnexpectedKind::NeverWritten } else { UnexpectedKind::WrongContent };
        found.unexpected.push(Unexpected { key, kind });
    }
    let shown = shown.unwrap_or(0);
    let mut missing = links[shown..].iter().filter(|link| link.acknowledged).peekable();
    if missing.peek().is_some() {
        found.wrong_rows.insert(key);
        if row.is_some() && chain::is_deleted(links) {
            found.unexpected.push(Unexpected { key, kind: UnexpectedKind::RaisedFromTheDead });
        }
    }
    for link in missing {
        match link.write {
            Some(write) => drop(found.lost.insert(write)),
            None if row.is_none() && chain::must_exist(links) => drop(found.lost_loaded.insert(key)),
            None => {}
        }
    }
    if let Some(last) = shown.checked_sub(1).map(|last| links[last])
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

/// An unknown write of several rows counts once: found where one of its rows shows it, else missing, else hidden. One
/// without a key that no row shows is missing.
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
