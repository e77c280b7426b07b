//! A fold of WAL records: which transactions removed rows of a table. It keeps no lines, only a counter for each transaction
//! that removed something and has not ended yet.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::{
    mark,
    wal_name::Lsn,
    waldump::{Filenode, Kind, Record},
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
    /// Numbers of the files that were dropped with it.
    #[serde(skip)]
    pub dropped: Vec<u32>,
}

impl Candidate {
    /// The oldest xid among the transaction and its subtransactions: what it wrote comes after that xid was given.
    pub fn oldest(&self) -> u32 {
        mark::oldest(self.xid, &self.subtransactions)
    }
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

    /// What a record of the resource manager Transaction makes of it: a transaction takes effect with its
    /// subtransactions, and what was rolled back is forgotten. A transaction that removed nothing is returned too.
    pub fn settle(&mut self, record: &Record) -> Option<Candidate> {
        match &record.kind {
            Kind::Commit { time, subtransactions, dropped } => {
                let counts: Vec<Count> = self.remove(record.xid, subtransactions);
                Some(Candidate {
                    xid: record.xid,
                    lsn: record.lsn,
                    commit_time: time.clone(),
                    first_lsn: counts.iter().map(|count| count.first).min().unwrap_or(record.lsn),
                    rows: counts.iter().map(|count| count.rows).sum(),
                    subtransactions: subtransactions.clone(),
                    dropped: dropped.clone(),
                })
            }
            Kind::Abort { subtransactions } => {
                self.remove(record.xid, subtransactions);
                None
            }
            _ => None,
        }
    }

    /// Adds what was counted for a transaction before the part of the WAL that it was found in.
    pub fn add_to(&mut self, candidate: &mut Candidate) {
        for count in self.remove(candidate.xid, &candidate.subtransactions) {
            candidate.rows += count.rows;
            candidate.first_lsn = candidate.first_lsn.min(count.first);
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

#[cfg(test)]
mod tests;
