//! Folds of WAL records: which transactions removed rows of a table, and what exactly one of them removed.
//!
//! Neither fold keeps lines. The first holds a counter for each transaction that removed something, the second the places
//! that one transaction touched.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use crate::{
    exact_set::Tuples,
    wal_name::Lsn,
    waldump::{Filenode, Kind, Place, Record},
};

/// How much a (sub)transaction removed from the table, as far as the WAL was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    rows: u64,
    first: Lsn,
}

/// Removed rows by (sub)transaction.
#[derive(Debug, Default)]
pub struct Deleters {
    files: HashSet<Filenode>,
    counts: HashMap<u32, Count>,
}

/// A committed transaction that removed rows of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The transaction.
    pub xid: u32,
    /// Where its commit record begins.
    pub lsn: Lsn,
    /// As pg_waldump prints it: `2026-11-21 03:55:29.073844 UTC`.
    pub commit_time: String,
    /// Its first removal of a row of the table.
    pub first_lsn: Lsn,
    /// Rows of the table that it removed.
    pub rows: u64,
    /// Its committed subtransactions.
    #[serde(skip)]
    pub subtransactions: Vec<u32>,
}

impl Deleters {
    /// Counts removals from these files.
    pub fn new(files: impl IntoIterator<Item = Filenode>) -> Self {
        Self { files: files.into_iter().collect(), counts: HashMap::new() }
    }

    /// Takes a record of the resource manager Heap.
    pub fn take(&mut self, record: &Record) {
        let Kind::Delete(place) = record.kind else { return };
        if self.files.contains(&place.file) {
            let count = self.counts.entry(record.xid).or_insert(Count { rows: 0, first: record.lsn });
            count.rows += 1;
            count.first = count.first.min(record.lsn);
        }
    }

    /// Whether nothing was removed.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// What a record of the resource manager Transaction makes of it: a transaction takes effect with its
    /// subtransactions, and what was rolled back is forgotten.
    pub fn settle(&mut self, record: &Record) -> Option<Candidate> {
        match &record.kind {
            Kind::Commit { time, subtransactions, .. } => {
                let counts: Vec<Count> = self.remove(record.xid, subtransactions);
                let first_lsn = counts.iter().map(|count| count.first).min()?;
                Some(Candidate {
                    xid: record.xid,
                    lsn: record.lsn,
                    commit_time: time.clone(),
                    first_lsn,
                    rows: counts.iter().map(|count| count.rows).sum(),
                    subtransactions: subtransactions.clone(),
                })
            }
            Kind::Abort { subtransactions } => {
                self.remove(record.xid, subtransactions);
                None
            }
            _ => None,
        }
    }

    fn remove(&mut self, xid: u32, subtransactions: &[u32]) -> Vec<Count> {
        subtransactions.iter().chain([&xid]).filter_map(|each| self.counts.remove(each)).collect()
    }
}

/// The largest candidates, in bounded memory.
#[derive(Debug)]
pub struct Largest {
    limit: usize,
    kept: Vec<Candidate>,
    /// How many there were in all.
    pub seen: u64,
}

/// Which transaction did the damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This one.
    One(Candidate),
    /// None removed anything.
    Nobody,
    /// The one that was asked for is not among them.
    NotThere,
    /// Several removed about as much.
    Several(Vec<Candidate>),
}

impl Largest {
    /// Keeps at most `limit`.
    pub fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), seen: 0 }
    }

    /// Takes a candidate; the smallest goes where there are too many, except the one with the xid `wanted`.
    pub fn take(&mut self, candidate: Candidate, wanted: Option<u32>) {
        self.seen += 1;
        self.kept.push(candidate);
        if self.kept.len() > self.limit {
            let smallest = |candidate: &&Candidate| (Some(candidate.xid) == wanted, candidate.rows);
            let smallest = self.kept.iter().min_by_key(smallest).map(|candidate| candidate.xid);
            self.kept.retain(|candidate| Some(candidate.xid) != smallest);
        }
    }

    /// The candidates, largest first.
    pub fn ordered(&self) -> Vec<Candidate> {
        let mut candidates = self.kept.clone();
        candidates.sort_by_key(|candidate| (std::cmp::Reverse(candidate.rows), candidate.lsn));
        candidates
    }

    /// The transaction `wanted`, or else the largest one where no other removed a fifth as much.
    pub fn verdict(&self, wanted: Option<u32>) -> Verdict {
        let candidates = self.ordered();
        if let Some(xid) = wanted {
            let found = candidates.into_iter().find(|candidate| candidate.xid == xid);
            return found.map_or(Verdict::NotThere, Verdict::One);
        }
        match candidates.as_slice() {
            [] => Verdict::Nobody,
            [first, second, ..] if second.rows * 5 >= first.rows => Verdict::Several(candidates),
            [first, ..] => Verdict::One(first.clone()),
        }
    }
}

/// What one transaction removed and changed, over all its tables.
#[derive(Debug, Default)]
pub struct Removals {
    members: HashSet<u32>,
    /// Row versions that it wrote itself, and the version from before the transaction that each stands for; none where
    /// the transaction also inserted the row.
    written: HashMap<Place, Option<Place>>,
    removed: BTreeMap<Filenode, Tuples>,
}

impl Removals {
    /// Of a transaction and its committed subtransactions.
    pub fn of(xid: u32, subtransactions: &[u32]) -> Self {
        Self { members: subtransactions.iter().copied().chain([xid]).collect(), ..Self::default() }
    }

    /// Takes a record of the resource manager Heap, in the order of the WAL. Those of other transactions do not count.
    pub fn take(&mut self, record: &Record) {
        if !self.members.contains(&record.xid) {
            return;
        }
        match record.kind {
            Kind::Insert(place) => {
                self.written.insert(place, None);
            }
            Kind::Update { old, new } => {
                let origin = self.written.remove(&old).unwrap_or(Some(old));
                self.written.insert(new, origin);
            }
            Kind::Delete(place) => {
                // A row that the transaction had changed before it removed it comes back as it was before the change.
                if let Some(origin) = self.written.remove(&place).unwrap_or(Some(place)) {
                    self.removed.entry(origin.file).or_default().insert(origin.block, origin.offset);
                }
            }
            _ => {}
        }
    }

    /// Rows that were there before, are still there, and were changed, by file.
    pub fn updated(&self) -> BTreeMap<Filenode, u64> {
        let mut counts = BTreeMap::new();
        for origin in self.written.values().flatten() {
            *counts.entry(origin.file).or_default() += 1;
        }
        counts
    }

    /// Rows that were there before and are gone, by file.
    pub fn removed(self) -> BTreeMap<Filenode, Tuples> {
        self.removed
    }
}

#[cfg(test)]
mod tests;
