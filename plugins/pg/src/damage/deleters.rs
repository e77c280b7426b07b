//! A fold of WAL records: which transactions removed rows of a table, or changed them. It keeps no lines, only a counter for each transaction
//! that removed something and has not ended yet.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;

use crate::wal::{
    mark,
    segment::Lsn,
    waldump::{Filenode, Kind, Place, Record},
};

/// What the transactions that are looked for did to rows of the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sought {
    /// They removed them.
    #[default]
    Removed,
    /// They changed them: the rows are there, with other values.
    Changed,
}

impl Sought {
    /// As people read it: `removed`, `changed`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }

    /// Where the record lies that counts, if it is one.
    fn place(self, kind: &Kind) -> Option<Place> {
        match (self, kind) {
            (Self::Removed, Kind::Delete(place)) => Some(*place),
            (Self::Changed, Kind::Update { old, .. }) => Some(*old),
            _ => None,
        }
    }

    /// What the lines of such records have in them.
    pub fn texts(self) -> &'static [&'static str] {
        match self {
            Self::Removed => &["desc: DELETE"],
            Self::Changed => &["desc: UPDATE", "desc: HOT_UPDATE"],
        }
    }

    /// What the lines of pg_waldump's statistics about them have in them.
    pub fn statistics(self) -> &'static str {
        match self {
            Self::Removed => "Heap/DELETE",
            Self::Changed => "UPDATE",
        }
    }
}

/// How much a (sub)transaction removed from the table, as far as the WAL was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Count {
    rows: u64,
    first: Lsn,
    files: BTreeSet<Filenode>,
}

/// Removed rows by (sub)transaction.
#[derive(Debug, Default)]
pub struct Deleters {
    sought: Sought,
    files: HashSet<Filenode>,
    counts: HashMap<u32, Count>,
}

/// A committed transaction that removed rows of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The files of the table from which it removed them.
    pub files: BTreeSet<Filenode>,
    /// It committed shortly before the moment from which on was asked.
    pub early: bool,
    /// Its committed subtransactions.
    pub subtransactions: Vec<u32>,
    /// Numbers of the files that were dropped with it.
    pub dropped: Vec<u32>,
}

impl Candidate {
    /// The oldest xid among the transaction and its subtransactions: what it wrote comes after that xid was given.
    pub fn oldest(&self) -> u32 {
        mark::oldest(self.xid, &self.subtransactions)
    }

    /// The transaction and its committed subtransactions.
    pub fn members(&self) -> impl Iterator<Item = u32> + '_ {
        self.subtransactions.iter().copied().chain([self.xid])
    }
}

impl Deleters {
    /// Counts what is sought, in these files.
    pub fn new(sought: Sought, files: impl IntoIterator<Item = Filenode>) -> Self {
        Self { sought, files: files.into_iter().collect(), counts: HashMap::new() }
    }

    /// Takes a record of the resource manager Heap.
    pub fn take(&mut self, record: &Record) {
        let Some(place) = self.sought.place(&record.kind) else { return };
        if self.files.contains(&place.file) {
            let new = || Count { rows: 0, first: record.lsn, files: BTreeSet::new() };
            let count = self.counts.entry(record.xid).or_insert_with(new);
            count.rows += 1;
            count.files.insert(place.file);
            count.first = count.first.min(record.lsn);
        }
    }

    /// Handles a record of the resource manager Transaction: a transaction takes effect with its subtransactions, and what was
    /// rolled back is forgotten. A transaction that removed nothing is returned too.
    pub fn settle(&mut self, record: &Record) -> Option<Candidate> {
        match &record.kind {
            Kind::Commit { time, subtransactions, dropped } => {
                let mut candidate = Candidate {
                    xid: record.xid,
                    lsn: record.lsn,
                    commit_time: time.clone(),
                    first_lsn: record.lsn,
                    rows: 0,
                    files: BTreeSet::new(),
                    early: false,
                    subtransactions: subtransactions.clone(),
                    dropped: dropped.clone(),
                };
                self.add_to(&mut candidate);
                Some(candidate)
            }
            Kind::Abort { subtransactions } => {
                self.remove(record.xid, subtransactions);
                None
            }
            _ => None,
        }
    }

    /// Adds what was counted for a transaction, here perhaps before the part of the WAL that it was found in.
    pub fn add_to(&mut self, candidate: &mut Candidate) {
        for count in self.remove(candidate.xid, &candidate.subtransactions) {
            candidate.rows += count.rows;
            candidate.first_lsn = candidate.first_lsn.min(count.first);
            candidate.files.extend(count.files);
        }
    }

    fn remove(&mut self, xid: u32, subtransactions: &[u32]) -> Vec<Count> {
        subtransactions.iter().chain([&xid]).filter_map(|each| self.counts.remove(each)).collect()
    }
}

/// Which of the transactions that removed rows are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Wanted {
    /// The one that stands out.
    #[default]
    Largest,
    /// Those with these xids.
    These(BTreeSet<u32>),
    /// All of them.
    All,
}

impl Wanted {
    /// Whether this xid is asked for by itself.
    pub fn names(&self, xid: u32) -> bool {
        matches!(self, Self::These(xids) if xids.contains(&xid))
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

/// Which transactions did the damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// These, in the order of their commits.
    These(Vec<Candidate>),
    /// None removed anything.
    Nobody,
    /// These of those that were asked for are not among them.
    NotThere(Vec<u32>),
    /// Several removed about as much.
    Several(Vec<Candidate>),
    /// More than can be put back at once.
    TooMany,
}

impl Largest {
    /// Keeps at most `limit`.
    pub fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), seen: 0 }
    }

    /// Takes a candidate; if there are too many, the smallest is dropped, except those that are asked for by name.
    pub fn take(&mut self, candidate: Candidate, wanted: &Wanted) {
        self.seen += 1;
        self.kept.push(candidate);
        if self.kept.len() > self.limit {
            let smallest = |candidate: &&Candidate| (wanted.names(candidate.xid), candidate.rows);
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

    /// The requested candidates; the largest one only if no other removed a fifth as much.
    pub fn verdict(&self, wanted: &Wanted) -> Verdict {
        let candidates = self.ordered();
        match wanted {
            Wanted::These(xids) => these(candidates, xids),
            _ if candidates.is_empty() => Verdict::Nobody,
            Wanted::All if self.seen > self.limit as u64 => Verdict::TooMany,
            Wanted::All => Verdict::These(by_commit(candidates)),
            Wanted::Largest => match candidates.as_slice() {
                [first, second, ..] if second.rows * 5 >= first.rows => Verdict::Several(candidates),
                _ => Verdict::These(candidates.into_iter().take(1).collect()),
            },
        }
    }
}

fn these(mut candidates: Vec<Candidate>, xids: &BTreeSet<u32>) -> Verdict {
    candidates.retain(|candidate| xids.contains(&candidate.xid));
    let is_missing = |xid: &u32| candidates.iter().all(|candidate| candidate.xid != *xid);
    let missing: Vec<u32> = xids.iter().copied().filter(is_missing).collect();
    if missing.is_empty() { Verdict::These(by_commit(candidates)) } else { Verdict::NotThere(missing) }
}

fn by_commit(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_by_key(|candidate| candidate.lsn);
    candidates
}

#[cfg(test)]
mod tests;
