//! The ledger folded into one entry per write, which the measurement reads.

use std::collections::BTreeMap;

use super::record::{Change, Entry, EntryKind, Id, Key, Operation, State, WriteId};
use crate::clock::At;

/// The initial load: acknowledged as a whole, each record at version 1 and write 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Baseline {
    /// When the load was acknowledged.
    pub acknowledged: At,
    /// Every record with its parent.
    pub records: BTreeMap<Key, Option<Id>>,
}

impl Baseline {
    /// What a loaded record is.
    pub fn state(parent: Option<Id>) -> State {
        State { version: 1, parent }
    }
}

/// The result of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Acknowledged.
    Ok,
    /// Refused: without effect.
    Failed,
    /// Not known.
    Unknown,
    /// The ledger has no answer: the drill ended before one came, or a line is missing.
    Pending,
}

/// A write from its invocation to its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// Its unique id.
    pub id: WriteId,
    /// The writer, counted from 0.
    pub writer: u32,
    /// When it was scheduled.
    pub scheduled: At,
    /// When it was sent.
    pub invoked: At,
    /// When the answer arrived, or its loss was noticed.
    pub ended: Option<At>,
    /// What became of it.
    pub outcome: WriteOutcome,
    /// What kind of write.
    pub operation: Operation,
    /// What it does, record by record; with the keys that the store returned.
    pub changes: Vec<Change>,
}

/// Everything the application wrote, in the order in which it was invoked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The initial load.
    pub baseline: Baseline,
    /// The writes after it, ordered by invocation.
    pub writes: Vec<Write>,
}

impl History {
    /// Folds the lines of a ledger. An answer without an invocation is left out: it proves nothing.
    pub fn fold(baseline: Baseline, entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut writes: Vec<Write> = Vec::new();
        let mut place: BTreeMap<WriteId, usize> = BTreeMap::new();
        for Entry { write, at, kind, .. } in entries {
            match kind {
                EntryKind::Invoked { writer, scheduled, operation, changes } => {
                    place.insert(write, writes.len());
                    writes.push(Write {
                        id: write,
                        writer,
                        scheduled,
                        invoked: at,
                        ended: None,
                        outcome: WriteOutcome::Pending,
                        operation,
                        changes,
                    });
                }
                answer => {
                    if let Some(index) = place.get(&write) {
                        writes[*index].answer(at, &answer);
                    }
                }
            }
        }
        writes.sort_by_key(|write| (write.invoked, write.id));
        Self { baseline, writes }
    }

    /// The acknowledged writes with the instant of the acknowledgement.
    pub fn acknowledged(&self) -> impl Iterator<Item = (At, &Write)> {
        self.writes
            .iter()
            .filter(|write| write.outcome == WriteOutcome::Ok)
            .filter_map(|write| write.ended.map(|at| (at, write)))
    }

    /// How many writes ended that way.
    pub fn count(&self, outcome: WriteOutcome) -> usize {
        self.writes.iter().filter(|write| write.outcome == outcome).count()
    }
}

impl Write {
    fn answer(&mut self, at: At, kind: &EntryKind) {
        self.ended = Some(at);
        self.outcome = match kind {
            EntryKind::Ok { id } => {
                for change in self.changes.iter_mut().filter(|change| change.id.is_none()) {
                    change.id.clone_from(id);
                }
                WriteOutcome::Ok
            }
            EntryKind::Failed { .. } => WriteOutcome::Failed,
            EntryKind::Unknown { .. } | EntryKind::Invoked { .. } => WriteOutcome::Unknown,
        };
    }
}
