//! The expected current states of a sample of records, for the content probes.

use std::collections::HashMap;

use super::{
    history::Baseline,
    record::{Id, Key, State, WriteId},
};

/// A state that a record may be in: the write that made it, and the record (`None`: deleted).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The write.
    pub write: WriteId,
    /// The record after it.
    pub state: Option<State>,
}

/// The watched records. Each keeps every state it had, and which of them is the last acknowledged one.
#[derive(Debug, Default)]
pub struct Watch {
    records: HashMap<Key, Watched>,
}

#[derive(Debug)]
struct Watched {
    states: Vec<Expectation>,
    acknowledged: usize,
}

impl Watch {
    /// Watches these records, given with their parents, as they were loaded.
    pub fn new(records: impl IntoIterator<Item = (Key, Option<Id>)>) -> Self {
        let loaded = |parent| Expectation { write: 0, state: Some(Baseline::state(parent)) };
        let watched = |parent| Watched { states: vec![loaded(parent)], acknowledged: 0 };
        Self { records: records.into_iter().map(|(key, parent)| (key, watched(parent))).collect() }
    }

    /// A write to the record is in progress: from now on its state is possible too.
    pub fn invoked(&mut self, key: &Key, write: WriteId, state: Option<State>) {
        if let Some(record) = self.records.get_mut(key) {
            record.states.push(Expectation { write, state });
        }
    }

    /// The write was acknowledged: older states are no longer possible.
    pub fn acknowledged(&mut self, key: &Key, write: WriteId) {
        if let Some(record) = self.records.get_mut(key)
            && let Some(index) = record.states.iter().rposition(|state| state.write == write)
        {
            record.acknowledged = record.acknowledged.max(index);
        }
    }

    /// The write had no effect: its state was never possible.
    pub fn failed(&mut self, key: &Key, write: WriteId) {
        if let Some(record) = self.records.get_mut(key)
            && let Some(index) = record.states.iter().rposition(|state| state.write == write)
            && index > record.acknowledged
        {
            record.states.remove(index);
        }
    }

    /// What was acknowledged so far may be lost: every state that a record had is possible again, until a newer one is acknowledged.
    pub fn doubted(&mut self) {
        self.records.values_mut().for_each(|record| record.acknowledged = 0);
    }

    /// Every watched record with its last acknowledged state: no older one is possible from now on.
    pub fn settled(&self) -> Vec<(Key, Expectation)> {
        let records = self.records.iter();
        records.map(|(key, record)| (key.clone(), record.states[record.acknowledged].clone())).collect()
    }

    /// Every state that was possible at some moment since `settled` was the last acknowledged one, oldest first.
    pub fn possible_since(&self, key: &Key, settled: &Expectation) -> &[Expectation] {
        let Some(record) = self.records.get(key) else { return &[] };
        let first = record.states.iter().position(|state| state == settled).unwrap_or(record.acknowledged);
        &record.states[first..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Name;

    #[test]
    fn what_may_be_lost_is_possible_until_something_newer_is_acknowledged() {
        let key = Key { collection: Name::fixed("orders"), id: Id::Number(1) };
        let state = |version| Some(State { version, parent: None });
        let mut watch = Watch::new([(key.clone(), None)]);
        let writes = |watch: &Watch| {
            let settled = watch.settled().remove(0).1;
            watch.possible_since(&key, &settled).iter().map(|it| it.write).collect::<Vec<_>>()
        };
        watch.invoked(&key, 2, state(2));
        watch.acknowledged(&key, 2);
        assert_eq!(writes(&watch), [2]);
        watch.doubted();
        assert_eq!(writes(&watch), [0, 2]);
        watch.invoked(&key, 3, state(2));
        watch.acknowledged(&key, 3);
        assert_eq!(writes(&watch), [3]);
    }
}
