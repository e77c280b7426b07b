//! The search through the archive for the transaction that did the damage, and for everything that it wrote.
//!
//! Removals from the table and ends of transactions are read at once. Reading begins at a [`Mark`], so that of each transaction
//! that ended later it is known whether it had begun before; for those, the search goes further back.

use std::collections::HashSet;

use lifeboat_plugin::Failure;

use crate::{
    archive::Archive,
    damage::{Candidate, Deleters, Largest, Verdict},
    dump::{Job, Pass, Reader, Span},
    layout::Layout,
    mark::{self, Mark, Marks},
    relation::TableFile,
    removals::Removals,
    server::{Capabilities, Moment},
    waldump::{Kind, Record},
};

/// More candidates than this are only counted.
const CANDIDATES_MAX: usize = 20;
/// More relations, or subtransactions, than this are read in one pass that prints more and is sifted by the host.
const PASSES_MAX: usize = 4;
/// So many segments are looked through at once for a mark, going back; half as many the time before.
const SEGMENTS_BACK_MAX: usize = 64;

/// What is searched for, and where.
pub struct Search<'a, C> {
    /// The archive.
    pub reader: Reader<'a, C>,
    /// Position of the first segment that can hold the transaction's commit.
    pub first: usize,
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
    /// How many segments were searched.
    pub segments: usize,
    /// Moments at which it is known which transactions had not begun.
    marks: Marks,
}

/// A transaction that gave the table the file that it has today: TRUNCATE, VACUUM FULL, CLUSTER, ALTER TABLE.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rewrite {
    xid: u32,
    commit_time: Option<String>,
}

/// What one reading of the WAL gives.
struct Found {
    deleters: Deleters,
    largest: Largest,
    rewrites: Vec<Rewrite>,
    marks: Marks,
    /// Transactions that had begun before the reading did.
    early: Vec<Candidate>,
}

impl<C: Capabilities> Search<'_, C> {
    /// Which transaction did it.
    pub fn culprit(&self, table: &str) -> Result<Culprit, Failure> {
        let archive = self.reader.archive;
        let start = self.last_mark(self.first, |_| true)?;
        let position = start.map_or(self.first, |mark| archive.position(mark.lsn));
        let span = Span { from: start.map(|mark| mark.lsn), ..Span::of(&archive.segments[position..]) };
        let mut found = Found {
            deleters: self.deleters(),
            largest: Largest::new(CANDIDATES_MAX),
            rewrites: Vec::new(),
            marks: Marks::default(),
            early: Vec::new(),
        };
        let mut jobs = self.removals_in(span)?;
        jobs.push(Job { pass: ends(), spans: vec![span] });
        self.reader.read_merged(&jobs, |record| self.take(&record, start, &mut found))?;
        if let Some(start) = start {
            self.complete(start, &mut found)?;
        }
        let transaction = self.judge(table, &found, span.segments.len())?;
        let Found { largest, marks, .. } = found;
        Ok(Culprit { transaction, candidates: largest.ordered(), segments: span.segments.len(), marks })
    }

    fn take(&self, record: &Record, start: Option<Mark>, found: &mut Found) {
        if let Some(mark) = Mark::of(record) {
            found.marks.add(mark);
            return;
        }
        self.note_rewrite(record, &mut found.rewrites);
        found.deleters.take(record);
        let ended = found.deleters.settle(record).filter(|candidate| !self.is_too_old(&candidate.commit_time));
        let Some(candidate) = ended else { return };
        let is_early = start.is_some_and(|start| !start.is_before(candidate.oldest()));
        if is_early && self.wanted.is_none_or(|wanted| wanted == candidate.xid) {
            found.early.push(candidate);
        } else if candidate.rows > 0 {
            found.largest.take(candidate, self.wanted);
        }
    }

    /// Goes back to before the oldest transaction that had begun before the reading did, and adds what those had removed.
    fn complete(&self, start: Mark, found: &mut Found) -> Result<(), Failure> {
        let older = |one, other| if mark::precedes(one, other) { one } else { other };
        let Some(oldest) = found.early.iter().map(Candidate::oldest).reduce(older) else { return Ok(()) };
        let archive = self.reader.archive;
        let end = archive.position(start.lsn);
        let begin = self.last_mark(end + 1, |mark| mark.is_before(oldest))?;
        let first = begin.map_or_else(|| archive.reaches_back(end), |mark| archive.position(mark.lsn));
        let name = archive.segments[first].name(archive.segment_size);
        let count = found.early.len();
        match begin {
            Some(mark) => {
                found.marks.add(mark);
                self.reader.caps.info(&format!("{count} transactions began before the search: reading on from {name}"));
            }
            None => self.reader.caps.warn(&format!(
                "{count} transactions may have begun before {name}, the first segment that can be read: what they removed \
                 before is not counted"
            )),
        }
        let members = |candidate: &Candidate| [candidate.subtransactions.as_slice(), &[candidate.xid]].concat();
        let members: HashSet<u32> = found.early.iter().flat_map(members).collect();
        let mut earlier = self.deleters();
        let segments = &archive.segments[first..=end.min(archive.segments.len() - 1)];
        let span = Span { segments, from: begin.map(|mark| mark.lsn), to: Some(start.lsn) };
        let mut new_files = Vec::new();
        let mut jobs = self.removals_in(span)?;
        jobs.push(Job { pass: Pass::of(&["Storage"]), spans: vec![span] });
        self.reader.read_merged(&jobs, |record| {
            if members.contains(&record.xid) {
                self.note_rewrite(&record, &mut new_files);
                earlier.take(&record);
            }
        })?;
        for mut candidate in found.early.drain(..) {
            let is_its = |file: &Rewrite| file.xid == candidate.xid || candidate.subtransactions.contains(&file.xid);
            if !candidate.dropped.is_empty() && new_files.iter().any(is_its) {
                let commit_time = Some(candidate.commit_time.clone());
                found.rewrites.push(Rewrite { xid: candidate.xid, commit_time });
            }
            earlier.add_to(&mut candidate);
            if candidate.rows > 0 {
                found.largest.take(candidate, self.wanted);
            }
        }
        Ok(())
    }

    /// The last mark in the segments before position `end` that is accepted; none where they end, or at a gap.
    fn last_mark(&self, end: usize, accept: impl Fn(&Mark) -> bool) -> Result<Option<Mark>, Failure> {
        let archive = self.reader.archive;
        let floor = archive.reaches_back(end.min(archive.segments.len() - 1));
        let (mut end, mut count) = (end, 1);
        while end > floor {
            let begin = end.saturating_sub(count).max(floor);
            let mut last = None;
            let pass = Pass { keep: vec![vec!["desc: RUNNING_XACTS".to_owned()]], ..Pass::of(&["Standby"]) };
            self.reader.read(&pass, Span::of(&archive.segments[begin..end]), |record| {
                last = Mark::of(&record).filter(&accept).or(last);
            })?;
            if last.is_some() {
                return Ok(last);
            }
            end = begin;
            count = (count * 2).min(SEGMENTS_BACK_MAX);
        }
        Ok(None)
    }

    fn judge(&self, table: &str, found: &Found, segments: usize) -> Result<Candidate, Failure> {
        let counts = |rewrite: &&Rewrite| rewrite.commit_time.as_ref().is_some_and(|time| !self.is_too_old(time));
        let rewrite = found.rewrites.iter().rfind(counts);
        // What was deleted after a TRUNCATE says nothing of the disaster that the TRUNCATE may be.
        if self.wanted.is_none() && rewrite.is_some() {
            return Err(rewritten(table, rewrite));
        }
        match found.largest.verdict(self.wanted) {
            Verdict::One(transaction) => Ok(transaction),
            Verdict::Several(all) => Err(ambiguous(table, &all, found.largest.seen)),
            Verdict::Nobody | Verdict::NotThere if rewrite.is_some() => Err(rewritten(table, rewrite)),
            Verdict::NotThere => Err(not_there(table, self.wanted, &found.largest.ordered())),
            Verdict::Nobody => Err(Failure::permanent(
                "pg-no-damage-found",
                format!(
                    "no transaction that committed since {} UTC removed rows of `{table}`, as far as the archive goes ({segments} \
                     segments): is the newest WAL archived (pg/switch-wal), and `since` early enough?",
                    self.since.text,
                ),
            )),
        }
    }

    /// Everything that a transaction removed and changed, from before its first record to its commit.
    pub fn removals<'l>(&self, culprit: &Culprit, layout: &'l Layout) -> Result<Removals<'l>, Failure> {
        let Candidate { xid, lsn, subtransactions, .. } = &culprit.transaction;
        let mut removals = Removals::of(*xid, subtransactions, layout);
        let span = self.written_in(culprit)?;
        let all = Pass::of(&["Heap", "Heap2", "Storage", "Standby"]);
        let members: Vec<u32> = subtransactions.iter().copied().chain([*xid]).collect();
        if members.len() <= PASSES_MAX {
            let job = |xid: &u32| Job { pass: Pass { xid: Some(*xid), ..all.clone() }, spans: vec![span] };
            let jobs: Vec<Job<'_>> = members.iter().map(job).collect();
            self.reader.read_merged(&jobs, |record| removals.take(&record))?;
        } else {
            let kept = ["INSERT", "DELETE", "UPDATE", "CREATE", "desc: LOCK xid"];
            let pass = Pass { keep: kept.map(|text| vec![text.to_owned()]).to_vec(), ..all };
            self.reader.read(&pass, span, |record| removals.take(&record))?;
        }
        removals.check(&culprit.transaction)?;
        self.reader
            .caps
            .info(&format!("transaction {xid} ended at {lsn}; read {} segments for it", span.segments.len()));
        Ok(removals)
    }

    /// The part of the archive that holds every record of a transaction.
    fn written_in(&self, culprit: &Culprit) -> Result<Span<'_>, Failure> {
        let archive = self.reader.archive;
        let Candidate { xid, lsn, .. } = culprit.transaction;
        let Some(begin) = culprit.marks.last_before(culprit.transaction.oldest()) else {
            return Err(begins_too_late(archive, self.first, xid));
        };
        let span = archive.span(begin.lsn, lsn)?;
        match (span.segments.first(), span.segments.last()) {
            (Some(first), Some(last)) if first.timeline != last.timeline => Err(Failure::permanent(
                "pg-wal-timelines",
                format!(
                    "transaction {xid} may have written between {begin} and {lsn}, where the server changed from timeline {} to {}: \
                     pg_waldump can not read the record that crosses from one to the other, so the exact set could lack a row",
                    first.timeline,
                    last.timeline,
                    begin = begin.lsn
                ),
            )),
            _ => Ok(span),
        }
    }

    fn deleters(&self) -> Deleters {
        Deleters::new(self.files.iter().map(|file| file.file))
    }

    /// What prints the removals from the table: most of what is written to it is none, so only where there are some.
    fn removals_in<'s>(&self, span: Span<'s>) -> Result<Vec<Job<'s>>, Failure> {
        let job = |pass: Pass| Ok(Job { spans: self.reader.parts_with(&pass, "Heap/DELETE", span)?, pass });
        self.removal_passes().into_iter().map(job).collect()
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

/// Ends of transactions, new files, marks.
fn ends() -> Pass {
    let kept = ["desc: COMMIT", "desc: ABORT", "desc: CREATE", "desc: RUNNING_XACTS"];
    let keep = kept.map(|text| vec![text.to_owned()]).to_vec();
    Pass { keep, ..Pass::of(&["Transaction", "Storage", "Standby"]) }
}

fn begins_too_late(archive: &Archive, first: usize, xid: u32) -> Failure {
    let floor = archive.reaches_back(first);
    let name = archive.segments.get(floor).map_or_else(String::new, |segment| segment.name(archive.segment_size));
    let message = format!(
        "transaction {xid} may have begun before {name}, the first segment of the archive that can be read without a gap: what it \
         removed before would be missing from the exact set; put the segments before {name} into the archive"
    );
    Failure::permanent("pg-wal-begins-too-late", message)
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
         does not say row by row what went; restore a copy with `target: {{ before_xid: {xid} }}` and `promote: true`, and take \
         the rows from there by key"
    );
    Failure::permanent("pg-table-rewritten", message)
}
