//! The search through the archive for the transactions that did the damage, and for everything that they wrote.
//!
//! Removals from the table and ends of transactions are read at once. Reading begins at a [`Mark`], so that of each transaction
//! that ended later it is known whether it had begun before; for those, the search goes further back.
//!
//! A commit's time lies before the moment at which others see it: the record is written, then it is flushed and perhaps sent to
//! a standby, and only then it is seen. So the search begins some time before `since`, and knows what it finds there as early.

use std::collections::HashSet;

use lifeboat_plugin::Failure;

use crate::{
    damage::{
        deleters::{Candidate, Deleters, Largest, Sought, Verdict, Wanted},
        layout::Layout,
        removals::Removals,
    },
    rows::relation::TableFile,
    server::{Capabilities, Moment},
    wal::{
        crossing,
        dump::{Job, Pass, Reader},
        mark::{self, Mark, Marks},
        segment::Lsn,
        span::Span,
        waldump::{Filenode, Kind, Record},
    },
};

mod refusal;

/// Further candidates are only counted.
const CANDIDATES_MAX: usize = 20;
/// Of the transactions that are put back, no more are listed as candidates.
const CHOSEN_LISTED_MAX: usize = 50;
/// More transactions than this are not put back together.
pub const TOGETHER_MAX: usize = 5_000;
/// More relations, or subtransactions, than this are read in one pass that prints more and is sifted by the host.
pub(crate) const PASSES_MAX: usize = 4;
/// How many segments are searched at once for a mark, going back; half as many the time before.
const SEGMENTS_BACK_MAX: usize = 64;

/// A transaction that committed at most this many seconds before `since` counts like one that committed later: a commit can take
/// this long to be flushed and seen.
pub const FLUSH_SECONDS: i64 = 5;
/// The same, if it is the only one.
pub const NEAR_SECONDS: i64 = 60;
/// A transaction that committed at most this many seconds before `since` is named.
pub const FAR_SECONDS: i64 = 600;

/// When the transactions can have committed, and where in the archive that is.
#[derive(Debug, Clone)]
pub struct Range {
    /// Not before this, seen from outside.
    pub since: Moment,
    /// [`FLUSH_SECONDS`] before that.
    pub flush: Moment,
    /// [`NEAR_SECONDS`] before that.
    pub near: Moment,
    /// [`FAR_SECONDS`] before that.
    pub far: Moment,
    /// Not after this.
    pub until: Option<Moment>,
    /// Position of the first segment that can hold a commit since `near`.
    pub first: usize,
    /// The same since `far`.
    pub far_first: usize,
    /// Position behind the last segment that can hold a commit by `until`.
    pub end: usize,
}

/// What is searched for, and where.
pub struct Search<'a, C> {
    /// The archive.
    pub reader: Reader<'a, C>,
    /// Where and when.
    pub range: &'a Range,
    /// The table's files today.
    pub files: &'a [TableFile],
    /// The transactions, if they are known.
    pub wanted: &'a Wanted,
    /// What they did.
    pub sought: Sought,
}

/// How the search ended.
#[derive(Debug)]
pub enum Finding<'a> {
    /// With the transactions.
    Culprit(Culprit),
    /// The table has a new file, in which the places of the WAL mean nothing.
    Rewritten(Rewritten<'a>),
    /// No transaction removed rows of the table.
    Nobody(Nobody<'a>),
}

/// What the search found.
#[derive(Debug)]
pub struct Culprit {
    /// The transactions, in the order of their commits; never empty.
    pub transactions: Vec<Candidate>,
    /// All that removed rows of the table, largest first, at most 20 besides those.
    pub candidates: Vec<Candidate>,
    /// How many there were in all.
    pub seen: u64,
    /// How many segments were searched.
    pub segments: usize,
    /// Moments at which it is known which transactions had not begun.
    pub(crate) marks: Marks,
}

/// What is known if the table has a new file.
#[derive(Debug)]
pub struct Rewritten<'a> {
    /// The transaction that gave it the file.
    pub rewrite: Rewrite,
    /// What was searched.
    pub span: Span<'a>,
    /// Moments at which it is known which transactions had not begun.
    pub(crate) marks: Marks,
}

/// What is known if no transaction removed rows.
#[derive(Debug)]
pub struct Nobody<'a> {
    /// What was searched.
    pub span: Span<'a>,
    /// Transactions that removed rows shortly before `since`.
    pub early: Vec<Candidate>,
    /// The time of the last commit that was read.
    pub last_commit: Option<String>,
}

/// A transaction that gave the table the file that it has today: TRUNCATE, VACUUM FULL, CLUSTER, ALTER TABLE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// The transaction.
    pub xid: u32,
    /// Where its commit record begins, and when it committed.
    pub commit: Option<(Lsn, String)>,
    /// Its committed subtransactions.
    pub subtransactions: Vec<u32>,
    /// Numbers of the files that were dropped with it, the table's old one among them.
    pub dropped: Vec<u32>,
}

/// What one reading of the WAL gives.
struct Found<'a> {
    span: Span<'a>,
    deleters: Deleters,
    largest: Largest,
    early: Largest,
    rewrites: Vec<Rewrite>,
    marks: Marks,
    last_commit: Option<String>,
    /// Transactions that had begun before the reading did.
    begun_before: Vec<Candidate>,
}

impl<C: Capabilities> Search<'_, C> {
    /// Which transactions did it.
    pub fn culprit(&self, table: &str) -> Result<Finding<'_>, Failure> {
        let Range { first, far_first, end, .. } = *self.range;
        let all = self.reader.archive.segments.len();
        let mut found = self.look(first, end)?;
        let is_nothing = matches!(self.verdict(&found), Verdict::Nobody | Verdict::NotThere(_));
        // What came later says why there is nothing.
        if is_nothing && (far_first < first || end < all) {
            found = self.look(far_first, all)?;
        }
        let rewrite = found.rewrites.iter().rfind(|rewrite| self.counts(rewrite)).cloned();
        let is_named = matches!(self.wanted, Wanted::These(_));
        match (self.verdict(&found), rewrite) {
            // Deletions after a TRUNCATE say nothing about the TRUNCATE, which may be the disaster.
            (_, Some(rewrite)) if !is_named => Ok(found.rewritten(rewrite)),
            (Verdict::These(transactions), _) => Ok(Finding::Culprit(found.culprit(transactions))),
            (Verdict::Nobody | Verdict::NotThere(_), Some(rewrite)) => Ok(found.rewritten(rewrite)),
            (Verdict::Nobody, None) => Ok(Finding::Nobody(Nobody {
                span: found.span,
                early: found.early.ordered(),
                last_commit: found.last_commit,
            })),
            (Verdict::Several(all), _) => {
                Err(refusal::ambiguous(self.sought, table, &all, &found.early.ordered(), found.largest.seen))
            }
            (Verdict::TooMany, _) => Err(refusal::too_many(self.sought, table, found.largest.seen)),
            (Verdict::NotThere(xids), None) => Err(refusal::not_there(self.sought, table, &xids, &found.listed())),
        }
    }

    fn look(&self, first: usize, end: usize) -> Result<Found<'_>, Failure> {
        let archive = self.reader.archive;
        let start = self.last_mark(first, |_| true)?;
        let position = start.map_or(first, |mark| archive.position(mark.lsn));
        let span = Span { from: start.map(|mark| mark.lsn), ..Span::of(&archive.segments[position..end]) };
        let limit = if *self.wanted == Wanted::All { TOGETHER_MAX } else { CANDIDATES_MAX };
        let mut found = Found {
            span,
            deleters: self.deleters(),
            largest: Largest::new(limit),
            early: Largest::new(CANDIDATES_MAX),
            rewrites: Vec::new(),
            marks: Marks::default(),
            last_commit: None,
            begun_before: Vec::new(),
        };
        let mut jobs = self.sought_in(span)?;
        jobs.push(Job { pass: ends(), spans: vec![span] });
        self.reader.read_merged(&jobs, |record| self.take(&record, start, &mut found))?;
        if let Some(start) = start {
            self.complete(start, &mut found)?;
        }
        Ok(found)
    }

    fn take(&self, record: &Record, start: Option<Mark>, found: &mut Found<'_>) {
        if let Some(mark) = Mark::of(record) {
            found.marks.add(mark);
            return;
        }
        self.note_rewrite(record, &mut found.rewrites);
        found.deleters.take(record);
        let Some(mut candidate) = found.deleters.settle(record) else { return };
        found.last_commit = Some(candidate.commit_time.clone());
        if self.is_before(&candidate.commit_time, &self.range.far) || self.is_too_late(&candidate.commit_time) {
            return;
        }
        candidate.early = self.is_before(&candidate.commit_time, &self.range.since);
        let is_named = !matches!(self.wanted, Wanted::These(_)) || self.wanted.names(candidate.xid);
        let has_begun_before = start.is_some_and(|start| !start.is_before(candidate.oldest()));
        if has_begun_before && is_named {
            found.begun_before.push(candidate);
        } else {
            self.sort_in(candidate, found);
        }
    }

    fn sort_in(&self, candidate: Candidate, found: &mut Found<'_>) {
        if candidate.rows == 0 {
            return;
        }
        let is_early = match self.wanted {
            Wanted::Largest => self.is_before(&candidate.commit_time, &self.range.flush),
            Wanted::All => candidate.early,
            // What is asked for by name counts, whenever it was.
            Wanted::These(_) => candidate.early && !self.wanted.names(candidate.xid),
        };
        let kept = if is_early { &mut found.early } else { &mut found.largest };
        kept.take(candidate, self.wanted);
    }

    /// Of the transactions that committed long before `since`, a single one is taken if there is none later.
    fn verdict(&self, found: &Found<'_>) -> Verdict {
        let verdict = found.largest.verdict(self.wanted);
        if verdict != Verdict::Nobody || *self.wanted != Wanted::Largest {
            return verdict;
        }
        let mut near = found.early.ordered();
        near.retain(|candidate| !self.is_before(&candidate.commit_time, &self.range.near));
        if near.len() == 1 { Verdict::These(near) } else { Verdict::Nobody }
    }

    fn counts(&self, rewrite: &Rewrite) -> bool {
        let at = rewrite.commit.as_ref();
        at.is_some_and(|(_, time)| !self.is_before(time, &self.range.flush) && !self.is_too_late(time))
    }

    /// Goes back to before the oldest transaction that had begun before the reading did, and adds what those had removed.
    fn complete(&self, start: Mark, found: &mut Found<'_>) -> Result<(), Failure> {
        let older = |one, other| if mark::precedes(one, other) { one } else { other };
        let Some(oldest) = found.begun_before.iter().map(Candidate::oldest).reduce(older) else { return Ok(()) };
        let archive = self.reader.archive;
        let end = archive.position(start.lsn);
        let begin = self.last_mark(end + 1, |mark| mark.is_before(oldest))?;
        let first = begin.map_or_else(|| archive.reaches_back(end), |mark| archive.position(mark.lsn));
        let name = archive.segments[first].name(archive.segment_size);
        let count = found.begun_before.len();
        match begin {
            Some(mark) => {
                found.marks.add(mark);
                self.reader.caps.info(&format!("{count} transactions began before the search: reading on from {name}"));
            }
            None => self.reader.caps.warn(&format!(
                "{count} transactions may have begun before {name}, the first segment that can be read: what they \
                 removed before it is not counted"
            )),
        }
        let members: HashSet<u32> = found.begun_before.iter().flat_map(Candidate::members).collect();
        let mut earlier = self.deleters();
        let segments = &archive.segments[first..=end.min(archive.segments.len() - 1)];
        let span = Span { segments, from: begin.map(|mark| mark.lsn), to: Some(start.lsn) };
        let mut new_files = Vec::new();
        let mut jobs = self.sought_in(span)?;
        jobs.push(Job { pass: Pass::of(&["Storage"]), spans: vec![span] });
        self.reader.read_merged(&jobs, |record| {
            if members.contains(&record.xid) {
                self.note_rewrite(&record, &mut new_files);
                earlier.take(&record);
            }
        })?;
        for mut candidate in std::mem::take(&mut found.begun_before) {
            let is_its = |file: &Rewrite| candidate.members().any(|member| member == file.xid);
            if !candidate.dropped.is_empty() && new_files.iter().any(is_its) {
                found.rewrites.push(Rewrite {
                    xid: candidate.xid,
                    commit: Some((candidate.lsn, candidate.commit_time.clone())),
                    subtransactions: candidate.subtransactions.clone(),
                    dropped: candidate.dropped.clone(),
                });
            }
            earlier.add_to(&mut candidate);
            self.sort_in(candidate, found);
        }
        Ok(())
    }

    /// The last mark in the segments before position `end` that is accepted; `None` if the segments end, or at a gap.
    pub(crate) fn last_mark(&self, end: usize, accept: impl Fn(&Mark) -> bool) -> Result<Option<Mark>, Failure> {
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

    /// Everything that the transactions removed and changed, from before their first record to the last commit.
    pub fn removals<'l>(&self, culprit: &Culprit, layout: &'l Layout) -> Result<Removals<'l>, Failure> {
        let removals = match culprit.transactions.as_slice() {
            [one] => self.removals_of_one(one, culprit, layout)?,
            _ => self.removals_of_several(culprit, layout)?,
        };
        removals.check(&culprit.transactions)?;
        Ok(removals)
    }

    fn removals_of_one<'l>(
        &self,
        transaction: &Candidate,
        culprit: &Culprit,
        layout: &'l Layout,
    ) -> Result<Removals<'l>, Failure> {
        let mut removals = Removals::of(&culprit.transactions, layout);
        let span = self.written_between(culprit, transaction.oldest(), transaction)?;
        let all = Pass::of(&["Heap", "Heap2", "Storage", "Standby"]);
        let members: Vec<u32> = transaction.members().collect();
        if members.len() <= PASSES_MAX {
            let job = |xid: &u32| Job { pass: Pass { xid: Some(*xid), ..all.clone() }, spans: vec![span] };
            let jobs: Vec<Job<'_>> = members.iter().map(job).collect();
            self.reader.read_merged(&jobs, |record| removals.take(&record))?;
        } else {
            let kept = ["INSERT", "DELETE", "UPDATE", "CREATE", "desc: LOCK xid"];
            let pass = Pass { keep: kept.map(|text| vec![text.to_owned()]).to_vec(), ..all };
            self.reader.read(&pass, span, |record| removals.take(&record))?;
        }
        let Candidate { xid, lsn, .. } = transaction;
        self.reader
            .caps
            .info(&format!("transaction {xid} ended at {lsn}; read {} segments for it", span.segments.len()));
        Ok(removals)
    }

    /// The part of the archive that holds every record of transactions of which `oldest` is the oldest xid, up to the commit of
    /// `last`.
    pub(crate) fn written_between(
        &self,
        culprit: &Culprit,
        oldest: u32,
        last: &Candidate,
    ) -> Result<Span<'_>, Failure> {
        let archive = self.reader.archive;
        let begin = match culprit.marks.last_before(oldest) {
            Some(mark) => mark,
            None => self
                .last_mark(self.range.first + 1, |mark| mark.is_before(oldest))?
                .ok_or_else(|| refusal::begins_too_late(archive, self.range.first, oldest))?,
        };
        let span = archive.span(begin.lsn, last.lsn)?;
        for pair in span.segments.windows(2).filter(|pair| pair[0].timeline != pair[1].timeline) {
            if crossing::between(&self.reader, pair[0], pair[1])?.may_be_of(oldest) {
                let message = format!(
                    "transaction {oldest} may have written between {} and {}, where the server changed from timeline {} to {}: \
                     pg_waldump cannot read the record that crosses from one to the other, so the exact set could lack a row",
                    begin.lsn, last.lsn, pair[0].timeline, pair[1].timeline,
                );
                return Err(Failure::permanent("pg-wal-timelines", message));
            }
        }
        Ok(span)
    }

    fn deleters(&self) -> Deleters {
        Deleters::new(self.sought, self.files.iter().map(|file| file.file))
    }

    /// What prints what is sought in the table: most of what is written to it is nothing of that, so only where there is some.
    fn sought_in<'s>(&self, span: Span<'s>) -> Result<Vec<Job<'s>>, Failure> {
        let job = |pass: Pass| Ok(Job { spans: self.reader.parts_with(&pass, self.sought.statistics(), span)?, pass });
        let files: Vec<Filenode> = self.files.iter().map(|file| file.file).collect();
        passes_over(&files, &["Heap"], self.sought.texts()).into_iter().map(job).collect()
    }

    /// In another zone than UTC nothing is too old or too late: the candidates' times are then shown by the server.
    pub(crate) fn is_before(&self, commit_time: &str, moment: &Moment) -> bool {
        utc(commit_time).is_some_and(|time| time < moment.text.as_str())
    }

    fn is_too_late(&self, commit_time: &str) -> bool {
        let until = self.range.until.as_ref();
        until.is_some_and(|until| utc(commit_time).is_some_and(|time| time > until.text.as_str()))
    }

    fn note_rewrite(&self, record: &Record, rewrites: &mut Vec<Rewrite>) {
        match &record.kind {
            Kind::Create { database, node } => {
                let ours = self.files.iter().any(|file| file.file.node == *node && file.file.database == *database);
                if ours {
                    rewrites.push(Rewrite { xid: record.xid, ..Rewrite::default() });
                }
            }
            // A new table has no older file: creating it is no rewrite.
            Kind::Commit { time, subtransactions, dropped } if !dropped.is_empty() => {
                let members =
                    |rewrite: &&mut Rewrite| rewrite.xid == record.xid || subtransactions.contains(&rewrite.xid);
                for rewrite in rewrites.iter_mut().filter(members) {
                    let commit = Some((record.lsn, time.clone()));
                    let (subtransactions, dropped) = (subtransactions.clone(), dropped.clone());
                    *rewrite = Rewrite { xid: record.xid, commit, subtransactions, dropped };
                }
            }
            _ => {}
        }
    }
}

impl<'a> Found<'a> {
    fn rewritten(self, rewrite: Rewrite) -> Finding<'a> {
        Finding::Rewritten(Rewritten { rewrite, span: self.span, marks: self.marks })
    }

    fn listed(&self) -> Vec<Candidate> {
        [self.largest.ordered(), self.early.ordered()].concat()
    }

    fn culprit(self, transactions: Vec<Candidate>) -> Culprit {
        let (mut candidates, seen) = (self.listed(), self.largest.seen + self.early.seen);
        let chosen: HashSet<u32> = transactions.iter().map(|chosen| chosen.xid).collect();
        let (mut ours, mut others) = (0, 0);
        candidates.retain(|candidate| {
            let is_chosen = chosen.contains(&candidate.xid);
            let (count, max) = if is_chosen { (&mut ours, CHOSEN_LISTED_MAX) } else { (&mut others, CANDIDATES_MAX) };
            *count += 1;
            *count <= max
        });
        Culprit { transactions, candidates, seen, segments: self.span.segments.len(), marks: self.marks }
    }
}

/// Passes that print the records of these files with one of these texts.
pub(crate) fn passes_over(files: &[Filenode], managers: &'static [&'static str], kept: &[&str]) -> Vec<Pass> {
    if files.len() <= PASSES_MAX {
        let keep: Vec<Vec<String>> = kept.iter().map(|text| vec![(*text).to_owned()]).collect();
        let pass = |file: &Filenode| Pass { relation: Some(*file), keep: keep.clone(), ..Pass::of(managers) };
        return files.iter().map(pass).collect();
    }
    let with_file =
        |text: &&str| files.iter().map(|file| vec![(*text).to_owned(), format!("rel {file} blk")]).collect();
    let keep = kept.iter().flat_map(|text| -> Vec<Vec<String>> { with_file(text) }).collect();
    vec![Pass { keep, ..Pass::of(managers) }]
}

/// Ends of transactions, new files, marks.
pub(crate) fn ends() -> Pass {
    let kept = ["desc: COMMIT", "desc: ABORT", "desc: CREATE", "desc: RUNNING_XACTS"];
    let keep = kept.map(|text| vec![text.to_owned()]).to_vec();
    Pass { keep, ..Pass::of(&["Transaction", "Storage", "Standby"]) }
}

/// `2026-11-21 03:55:29.073844`, where the text says that this is UTC.
pub fn utc(time: &str) -> Option<&str> {
    time.strip_suffix(" UTC").or_else(|| time.strip_suffix(" GMT"))
}

#[cfg(test)]
mod tests;
