//! The search through the archive for the transaction that did the damage, in three passes of pg_waldump: removals from the
//! table, ends of transactions, and everything that the culprit wrote.

use lifeboat_plugin::{Failure, Machine};

use crate::{
    damage::{Candidate, Deleters, Largest, Removals, Verdict},
    dump::{Pass, Reader},
    relation::TableFile,
    server::Moment,
    wal_name::Segment,
    waldump::{Kind, Record},
};

/// More candidates than this are only counted.
const CANDIDATES_MAX: usize = 20;
/// More relations, or subtransactions, than this are read in one pass that prints more and is sifted by the host.
const PASSES_MAX: usize = 4;

/// What is searched for, and where.
pub struct Search<'a, C> {
    /// The archive.
    pub reader: Reader<'a, C>,
    /// The segments in question, without a gap.
    pub segments: &'a [Segment],
    /// The table's files today.
    pub files: &'a [TableFile],
    /// Transactions that committed before this do not count.
    pub since: &'a Moment,
    /// The transaction, where it is known.
    pub wanted: Option<u32>,
}

/// What the search found.
#[derive(Debug)]
pub struct Culprit {
    /// The transaction.
    pub transaction: Candidate,
    /// All that removed rows of the table, largest first.
    pub candidates: Vec<Candidate>,
}

/// A transaction that gave the table the file that it has today: TRUNCATE, VACUUM FULL, CLUSTER, ALTER TABLE.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rewrite {
    xid: u32,
    commit_time: Option<String>,
}

impl<C: Machine> Search<'_, C> {
    /// Which transaction did it.
    pub fn culprit(&self, table: &str) -> Result<Culprit, Failure> {
        let mut deleters = Deleters::new(self.files.iter().map(|file| file.file));
        for pass in self.removal_passes() {
            self.reader.read(&pass, self.segments, |record| deleters.take(&record))?;
        }
        let mut largest = Largest::new(CANDIDATES_MAX);
        let mut rewrites = Vec::new();
        self.reader.read(&Pass::of(&["Transaction", "Storage"]), self.segments, |record| {
            self.note_rewrite(&record, &mut rewrites);
            let candidate = deleters.settle(&record);
            if let Some(candidate) = candidate.filter(|candidate| !self.is_too_old(&candidate.commit_time)) {
                largest.take(candidate, self.wanted);
            }
        })?;
        let counts = |rewrite: &&Rewrite| rewrite.commit_time.as_ref().is_some_and(|time| !self.is_too_old(time));
        let rewrite = rewrites.iter().rfind(counts);
        // What was deleted after a TRUNCATE says nothing of the disaster that the TRUNCATE may be.
        if self.wanted.is_none() && rewrite.is_some() {
            return Err(rewritten(table, rewrite));
        }
        match largest.verdict(self.wanted) {
            Verdict::One(transaction) => Ok(Culprit { transaction, candidates: largest.ordered() }),
            Verdict::Several(all) => Err(ambiguous(table, &all, largest.seen)),
            Verdict::Nobody | Verdict::NotThere if rewrite.is_some() => Err(rewritten(table, rewrite)),
            Verdict::NotThere => Err(not_there(table, self.wanted, &largest.ordered())),
            Verdict::Nobody => Err(Failure::permanent(
                "pg-no-damage-found",
                format!(
                    "no transaction that committed since {} UTC removed rows of `{table}`, as far as the archive goes ({} segments): \
                     is the newest WAL archived (pg/switch-wal), and `since` early enough?",
                    self.since.text,
                    self.segments.len()
                ),
            )),
        }
    }

    /// Everything that a transaction removed and changed.
    pub fn removals(&self, culprit: &Candidate, commit_segment: u64) -> Result<Removals, Failure> {
        let members: Vec<u32> = culprit.subtransactions.iter().copied().chain([culprit.xid]).collect();
        let mut removals = Removals::of(culprit.xid, &culprit.subtransactions);
        let end = self.segments.partition_point(|segment| segment.number <= commit_segment);
        let segments = &self.segments[..end];
        if members.len() <= PASSES_MAX {
            let passes: Vec<Pass> = members.iter().map(|xid| Pass { xid: Some(*xid), ..Pass::of(&["Heap"]) }).collect();
            self.reader.read_merged(&passes, segments, |record| removals.take(&record))?;
        } else {
            let keep = ["INSERT", "DELETE", "UPDATE"].map(|operation| vec![operation.to_owned()]).to_vec();
            let pass = Pass { keep, ..Pass::of(&["Heap"]) };
            self.reader.read(&pass, segments, |record| removals.take(&record))?;
        }
        Ok(removals)
    }

    fn removal_passes(&self) -> Vec<Pass> {
        let deletes = || "desc: DELETE".to_owned();
        if self.files.len() <= PASSES_MAX {
            let pass = |file: &TableFile| Pass {
                relation: Some(file.file),
                keep: vec![vec![deletes()]],
                ..Pass::of(&["Heap"])
            };
            return self.files.iter().map(pass).collect();
        }
        let keep = self.files.iter().map(|file| vec![deletes(), format!("rel {} blk", file.file)]).collect();
        vec![Pass { keep, ..Pass::of(&["Heap"]) }]
    }

    fn is_too_old(&self, commit_time: &str) -> bool {
        // In another zone than UTC it is kept: the candidates' times are then shown by the server.
        utc(commit_time).is_some_and(|time| time < self.since.text.as_str())
    }

    fn note_rewrite(&self, record: &Record, rewrites: &mut Vec<Rewrite>) {
        match &record.kind {
            Kind::Create { database, node } => {
                let ours = self.files.iter().any(|file| file.file.node == *node && file.file.database == *database);
                if ours {
                    rewrites.push(Rewrite { xid: record.xid, commit_time: None });
                }
            }
            // A new table has no older file: creating it is no rewrite.
            Kind::Commit { time, subtransactions, dropped } if !dropped.is_empty() => {
                let members =
                    |rewrite: &&mut Rewrite| rewrite.xid == record.xid || subtransactions.contains(&rewrite.xid);
                for rewrite in rewrites.iter_mut().filter(members) {
                    *rewrite = Rewrite { xid: record.xid, commit_time: Some(time.clone()) };
                }
            }
            _ => {}
        }
    }
}

/// `2026-11-21 03:55:29.073844`, where the text says that this is UTC.
pub fn utc(time: &str) -> Option<&str> {
    time.strip_suffix(" UTC").or_else(|| time.strip_suffix(" GMT"))
}

fn list(candidates: &[Candidate]) -> String {
    let lines = candidates.iter().map(|it| format!("xid {} removed {} rows at {}", it.xid, it.rows, it.commit_time));
    lines.collect::<Vec<_>>().join("; ")
}

fn ambiguous(table: &str, candidates: &[Candidate], seen: u64) -> Failure {
    let message = format!(
        "{seen} transactions removed rows of `{table}`, and no single one stands out; say which with `xid`: {}",
        list(candidates)
    );
    Failure::permanent("pg-damage-ambiguous", message)
}

fn not_there(table: &str, wanted: Option<u32>, candidates: &[Candidate]) -> Failure {
    let others = if candidates.is_empty() { "nobody did".to_owned() } else { list(candidates) };
    let message = format!(
        "no committed transaction {} in the archive removed rows of `{table}` since then; {others}",
        wanted.unwrap_or_default()
    );
    Failure::permanent("pg-xid-not-found", message)
}

fn rewritten(table: &str, rewrite: Option<&Rewrite>) -> Failure {
    let (xid, time) = rewrite.map_or((0, ""), |it| (it.xid, it.commit_time.as_deref().unwrap_or_default()));
    let message = format!(
        "`{table}` got a new file in transaction {xid} at {time} (TRUNCATE, VACUUM FULL, CLUSTER or ALTER TABLE), so the WAL \
         does not say row by row what went; restore a copy with `before_xid: {xid}` and compare it by key"
    );
    Failure::permanent("pg-table-rewritten", message)
}
