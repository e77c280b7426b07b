//! The live ledger: assigns write ids and writes each line before its caller continues.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    file::{Appender, LedgerError},
    record::{Change, Entry, EntryKind, Id, Key, Operation, WriteId},
    watch::{Expectation, Watch},
};
use crate::clock::{At, Clock};

/// The live ledger of a drill, shared by all writers.
#[derive(Debug)]
pub struct Ledger {
    clock: Clock,
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: Appender,
    watch: Watch,
    last_write: WriteId,
    acknowledged: u64,
    drop_acknowledgement: Option<u64>,
}

/// A write that was entered and waits for its answer. It must be answered exactly once.
#[derive(Debug)]
#[must_use = "a write without an answer stays pending"]
pub struct Invocation {
    /// The write's id.
    pub id: WriteId,
    changes: Vec<Change>,
}

impl Ledger {
    /// A new ledger in a new file.
    pub fn create(path: &Path, clock: Clock, watch: Watch) -> Result<Self, LedgerError> {
        let file = Appender::create(path)?;
        let inner = Inner { file, watch, last_write: 0, acknowledged: 0, drop_acknowledgement: None };
        Ok(Self { clock, path: path.to_owned(), inner: Mutex::new(inner) })
    }

    /// Sabotage for tests: loses the line of the n-th acknowledgement (counted from 1), as a broken ledger would.
    pub fn sabotage_acknowledgement(&self, nth: u64) {
        self.inner().drop_acknowledgement = Some(nth);
    }

    /// The path of the ledger.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Enters a write that is about to be sent. The answer has the write's id, which the records will carry.
    pub fn invoke(
        &self,
        writer: u32,
        scheduled: At,
        operation: Operation,
        changes: Vec<Change>,
    ) -> Result<Invocation, LedgerError> {
        let mut inner = self.inner();
        inner.last_write += 1;
        let id = inner.last_write;
        for (key, change) in changes.iter().filter_map(|change| Some((change.key()?, change))) {
            inner.watch.invoked(&key, id, change.after.clone());
        }
        let kind = EntryKind::Invoked { writer, scheduled, operation, changes: changes.clone() };
        inner.file.append(&self.entry(id, kind))?;
        Ok(Invocation { id, changes })
    }

    /// Enters the store's acknowledgement, with the key that it made for a new record.
    pub fn ok(&self, invocation: Invocation, id: Option<Id>) -> Result<(), LedgerError> {
        let mut inner = self.inner();
        inner.acknowledged += 1;
        if inner.drop_acknowledgement != Some(inner.acknowledged) {
            inner.file.append(&self.entry(invocation.id, EntryKind::Ok { id }))?;
        }
        for key in invocation.changes.iter().filter_map(Change::key) {
            inner.watch.acknowledged(&key, invocation.id);
        }
        Ok(())
    }

    /// Enters that the write is known to have had no effect.
    pub fn failed(&self, invocation: Invocation, reason: String) -> Result<(), LedgerError> {
        let mut inner = self.inner();
        inner.file.append(&self.entry(invocation.id, EntryKind::Failed { reason }))?;
        for key in invocation.changes.iter().filter_map(Change::key) {
            inner.watch.failed(&key, invocation.id);
        }
        Ok(())
    }

    /// Enters that the result of the write is not known.
    pub fn unknown(&self, invocation: Invocation, reason: String) -> Result<(), LedgerError> {
        self.inner().file.append(&self.entry(invocation.id, EntryKind::Unknown { reason }))
    }

    /// How many acknowledgements the writers handed in; the ledger's lines must say the same.
    pub fn acknowledged(&self) -> u64 {
        self.inner().acknowledged
    }

    /// What was acknowledged so far may be lost: the watch takes older states of the records for right again.
    pub fn doubt(&self) {
        self.inner().watch.doubted();
    }

    /// The watched records with their last acknowledged states.
    pub fn settled(&self) -> Vec<(Key, Expectation)> {
        self.inner().watch.settled()
    }

    /// For each of these records, every state that was possible since the one given.
    pub fn possible_since(&self, records: &[(Key, Expectation)]) -> Vec<Vec<Expectation>> {
        let inner = self.inner();
        records.iter().map(|(key, settled)| inner.watch.possible_since(key, settled).to_vec()).collect()
    }

    fn entry(&self, write: WriteId, kind: EntryKind) -> Entry {
        let at = self.clock.now();
        Entry { write, at, wall: self.clock.wall(at), kind }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A writer that panicked leaves whole lines behind: the ledger stays usable for the others and for the report.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
