//! Which backup a restore begins with, and which segments it needs from there to its target.

use lifeboat_plugin::{Failure, Machine, Runtime};

use crate::{
    archive::Archive,
    backup::{self, Backup},
    dump::{Pass, Reader, Span},
    server::Moment,
    target::Target,
    wal_name::{Lsn, Segment},
    waldump::Kind,
};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Where recovery stops.
    pub target: &'a Target,
    /// The target's time, where it is one.
    pub moment: Option<&'a Moment>,
    /// The backup, where it is given.
    pub backup: Option<&'a str>,
}

/// What is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Where to begin.
    pub backup: Backup,
    /// From the backup's begin to the target, without a gap; never empty.
    pub segments: Vec<Segment>,
    /// Where the last of them begins.
    pub last_start: Lsn,
    /// About where replay ends.
    pub end: Lsn,
}

/// The wished backup, or the newest one that was consistent before the target.
pub fn choose<C: Machine + Runtime>(
    caps: &C,
    machine: &str,
    archive: &Archive,
    folder: &str,
    wish: &Wish<'_>,
) -> Result<Choice, Failure> {
    let mut backups = candidates(caps, machine, folder, wish.backup)?;
    let reader = Reader { caps, machine, archive };
    let (mut commit, mut newer) = (None, u64::MAX);
    while let Some(backup) = backups.pop() {
        let first = Segment::holding(backup.start_lsn, backup.timeline, archive.segment_size);
        if let (Some(xid), None) = (wish.target.xid(), commit) {
            let segments = between(archive, first.number, newer);
            commit = commit_of(&reader, xid, segments)?;
            newer = first.number;
        }
        if wish.target.is_after(&backup, wish.moment, commit) {
            let last = last_segment(archive, wish, &backup, commit);
            return choice(archive, backup, first, last, commit);
        }
    }
    Err(match (wish.target.xid(), commit) {
        (Some(xid), None) => Failure::permanent(
            "pg-xid-not-found",
            format!("no commit of transaction {xid} in the archive since the oldest backup that could be used"),
        ),
        _ => {
            Failure::permanent("pg-no-backup", format!("no backup in {folder} ended before {}", wish.target.describe()))
        }
    })
}

/// Oldest first.
fn candidates(caps: &impl Machine, machine: &str, folder: &str, wanted: Option<&str>) -> Result<Vec<Backup>, Failure> {
    let Some(name) = wanted else {
        let backups = backup::list(caps, machine, folder)?;
        if backups.is_empty() {
            return Err(Failure::permanent("pg-no-backup", format!("there is no whole base backup in {folder}")));
        }
        return Ok(backups);
    };
    backup::check_name(name)?;
    match backup::read(caps, machine, folder, name)? {
        Some(backup) => Ok(vec![backup]),
        None => Err(Failure::permanent("pg-no-backup", format!("there is no base backup {folder}/{name}"))),
    }
}

fn between(archive: &Archive, first: u64, last: u64) -> &[Segment] {
    let start = archive.segments.partition_point(|segment| segment.number < first);
    let end = archive.segments.partition_point(|segment| segment.number <= last);
    &archive.segments[start..end.max(start)]
}

/// Where the transaction committed, if it did in these segments.
fn commit_of<C: Machine>(reader: &Reader<'_, C>, xid: u32, segments: &[Segment]) -> Result<Option<Lsn>, Failure> {
    reader.archive.whole(segments)?;
    let one = Pass { xid: Some(xid), ..Pass::of(&["Transaction"]) };
    // COMMIT PREPARED is written in no transaction, or in another one: its text alone names the one that it ends.
    let prepared = Pass { keep: vec![vec![format!("COMMIT_PREPARED {xid}: ")]], ..Pass::of(&["Transaction"]) };
    for pass in [one, prepared] {
        let mut found = None;
        reader.read(&pass, Span::of(segments), |record| {
            if matches!(record.kind, Kind::Commit { .. }) && record.xid == xid {
                found = Some(record.lsn);
            }
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The last segment that replay will need.
fn last_segment(archive: &Archive, wish: &Wish<'_>, backup: &Backup, commit: Option<Lsn>) -> u64 {
    let newest = archive.segments.last().map_or(0, |segment| segment.number);
    let holding = |lsn: Lsn| lsn.0 / archive.segment_size.bytes();
    match (wish.target, wish.moment, commit) {
        (Target::Lsn(lsn), _, _) => holding(*lsn),
        (Target::Immediate(_), _, _) => backup.end_lsn.map_or(newest, holding),
        (_, _, Some(commit)) => holding(commit),
        // The first segment that was archived after the time holds what was written at that time.
        (_, Some(moment), _) => {
            let later = archive.modified_ms.iter().position(|modified| *modified >= moment.ms);
            later.and_then(|at| archive.segments.get(at)).map_or(newest, |segment| segment.number)
        }
        _ => newest,
    }
}

fn choice(
    archive: &Archive,
    backup: Backup,
    first: Segment,
    last: u64,
    commit: Option<Lsn>,
) -> Result<Choice, Failure> {
    let segments = between(archive, first.number, last).to_vec();
    if segments.first().is_none_or(|segment| segment.number != first.number) {
        return Err(archive.gap(first));
    }
    archive.whole(&segments)?;
    let end = segments.last().map_or(first, |segment| *segment);
    if end.number < last {
        return Err(archive.gap(Segment { number: end.number + 1, ..end }));
    }
    let after = Segment { number: end.number + 1, ..end }.start(archive.segment_size);
    let last_start = end.start(archive.segment_size);
    Ok(Choice { backup, segments, last_start, end: commit.unwrap_or(after) })
}
