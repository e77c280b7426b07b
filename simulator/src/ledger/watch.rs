//! What a sample of rows should look like right now, for the content probes.

use std::collections::HashMap;

use super::record::{RowKey, RowState, WriteId};

/// A state that a row may be in: the write that made it, and the row (`None`: deleted).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// The write.
    pub write: WriteId,
    /// The row after it.
    pub state: Option<RowState>,
}

/// The watched rows. Each keeps every state it had, and which of them is the last acknowledged one.
#[derive(Debug, Default)]
pub struct Watch {
    rows: HashMap<RowKey, Watched>,
}

#[derive(Debug)]
struct Watched {
    states: Vec<Expectation>,
    acknowledged: usize,
}

impl Watch {
    /// Watches these rows, given with their parents, as they were loaded.
    pub fn new(rows: impl IntoIterator<Item = (RowKey, i64)>) -> Self {
        let loaded = |parent| Expectation { write: 0, state: Some(RowState { version: 1, parent }) };
        let watched = |parent| Watched { states: vec![loaded(parent)], acknowledged: 0 };
        Self { rows: rows.into_iter().map(|(key, parent)| (key, watched(parent))).collect() }
    }

    /// The watched rows.
    pub fn keys(&self) -> impl Iterator<Item = RowKey> {
        self.rows.keys().copied()
    }

    /// A write to the row is on its way: from now on its state is possible too.
    pub fn invoked(&mut self, key: RowKey, write: WriteId, state: Option<RowState>) {
        if let Some(row) = self.rows.get_mut(&key) {
            row.states.push(Expectation { write, state });
        }
    }

    /// The write was acknowledged: older states are no longer possible.
    pub fn acknowledged(&mut self, key: RowKey, write: WriteId) {
        if let Some(row) = self.rows.get_mut(&key)
            && let Some(index) = row.states.iter().rposition(|state| state.write == write)
        {
            row.acknowledged = row.acknowledged.max(index);
        }
    }

    /// The write had no effect: its state was never possible.
    pub fn failed(&mut self, key: RowKey, write: WriteId) {
        if let Some(row) = self.rows.get_mut(&key)
            && let Some(index) = row.states.iter().rposition(|state| state.write == write)
            && index > row.acknowledged
        {
            row.states.remove(index);
        }
    }

    /// The last acknowledged state of the row: no older one is possible from now on.
    pub fn settled(&self, key: RowKey) -> Option<Expectation> {
        self.rows.get(&key).map(|row| row.states[row.acknowledged])
    }

    /// Every state that was possible at some moment since `settled` was the last acknowledged one, oldest first.
    pub fn possible_since(&self, key: RowKey, settled: Expectation) -> &[Expectation] {
        let Some(row) = self.rows.get(&key) else { return &[] };
        let first = row.states.iter().position(|state| *state == settled).unwrap_or(row.acknowledged);
        &row.states[first..]
    }
}
