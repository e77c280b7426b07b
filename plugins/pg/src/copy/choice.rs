//! Which backup a restore begins with, and which segments it needs from there to its target.

use std::{cell::RefCell, collections::BTreeSet};

use lifeboat_plugin::{Failure, Machine, Runtime};

use crate::{
    backup::base_backup::{self, Backup},
    copy::{proof::Expected, target::Target},
    server::Moment,
    wal::{
        archive::Archive,
        commits::{self, Times},
        dump::{Pass, Reader},
        end::{End, Tail},
        segment::{Lsn, Segment},
        span::Span,
        timeline::Chain,
        waldump::Kind,
    },
};

/// The request.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Where recovery stops.
    pub target: &'a Target,
    /// The target's time, where it is one.
    pub moment: Option<&'a Moment>,
    /// The backup, where it is given.
    pub backup: Option<&'a str>,
    /// The cluster that must have written the WAL.
    pub system_identifier: u64,
}

/// The choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Where to begin.
    pub backup: Backup,
    /// From the backup's begin to the target, without a gap; never empty.
    pub segments: Vec<Segment>,
    /// The last segment that the archive has.
    pub newest: Segment,
    /// The timeline that is followed.
    pub chain: Chain,
    /// About where replay ends.
    pub end: Lsn,
    /// What replay has to reach.
    pub expected: Expected,
}

/// What was found in the WAL about the target.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    /// The end of the archive, where that is the target.
    end: Option<End>,
    /// The commit record of the target's transaction.
    commit: Option<Lsn>,
}

/// The requested backup, or the newest one that was consistent before the target. Every segment that is read or needed was
/// checked: it belongs to the cluster, and begins like a segment.
pub fn choose<C: Machine + Runtime>(
    caps: &C,
    machine: &str,
    archive: &Archive,
    folder: &str,
    wish: &Wish<'_>,
) -> Result<Choice, Failure> {
    let mut backups = candidates(caps, machine, archive, folder, wish.backup)?;
    let reader = Reader { caps, machine, archive };
    let checked = RefCell::new(BTreeSet::new());
    let check = |segments: &[Segment]| {
        let new: Vec<_> = segments.iter().filter(|segment| checked.borrow_mut().insert(**segment)).copied().collect();
        match new.is_empty() {
            true => Ok(()),
            false => archive.check_heads(caps, machine, &new, wish.system_identifier).map(drop),
        }
    };
    let mut found = Found::default();
    if matches!(wish.target, Target::Latest(_)) {
        archive.check_end()?;
        check(&archive.segments[archive.segments.len().saturating_sub(2)..])?;
        found.end = Some(Tail { caps, machine, archive }.end()?);
    }
    let mut newer = u64::MAX;
    while let Some(backup) = backups.pop() {
        let first = Segment::holding(backup.start_lsn, backup.timeline, archive.segment_size);
        if let (Some(xid), None) = (wish.target.xid(), found.commit) {
            let segments = between(archive, first.number, newer);
            check(segments)?;
            found.commit = commit_of(&reader, xid, segments)?;
            newer = first.number;
        }
        let usable = match wish.moment {
            Some(moment) => ended_by(&reader, &backup, moment)?,
            None => wish.target.is_after(&backup, found.commit.or(found.end.map(|end| end.lsn))),
        };
        if usable {
            let choice = choice(&reader, backup, wish, found)?;
            check(&choice.segments)?;
            return Ok(choice);
        }
    }
    Err(match (wish.target.xid(), found.commit) {
        (Some(xid), None) => Failure::permanent(
            "pg-xid-not-found",
            format!("the archive has no commit of transaction {xid} after the oldest backup that could be used"),
        ),
        _ => {
            Failure::permanent("pg-no-backup", format!("no backup in {folder} ended before {}", wish.target.describe()))
        }
    })
}

/// Oldest first; only those from which the archive's timeline can be reached.
fn candidates<C: Machine + Runtime>(
    caps: &C,
    machine: &str,
    archive: &Archive,
    folder: &str,
    wanted: Option<&str>,
) -> Result<Vec<Backup>, Failure> {
    let chain = &archive.chain;
    let Some(name) = wanted else {
        let found = base_backup::survey(caps, machine, folder)?;
        found.others.iter().for_each(|other| caps.warn(&format!("{}: it is left out", other.describe(folder))));
        let (backups, others): (Vec<_>, Vec<_>) = found.whole.into_iter().partition(|backup| backup.leads_to(chain));
        others.iter().for_each(|backup| caps.warn(&format!("{}: it is left out", backup.astray(folder, chain))));
        if backups.is_empty() {
            return Err(base_backup::none(folder, &found.others));
        }
        return Ok(backups);
    };
    base_backup::check_name(name)?;
    match base_backup::read(caps, machine, folder, name)? {
        Some(backup) if backup.leads_to(chain) => Ok(vec![backup]),
        Some(backup) => Err(Failure::permanent("pg-timeline", backup.astray(folder, chain))),
        None => Err(Failure::permanent("pg-no-backup", format!("there is no base backup {folder}/{name}"))),
    }
}

/// Whether the backup was consistent at the moment: everything that committed before its end had committed by then.
fn ended_by<C: Machine>(reader: &Reader<'_, C>, backup: &Backup, moment: &Moment) -> Result<bool, Failure> {
    let end = backup.end_lsn.unwrap_or(backup.start_lsn);
    if let Some(commit) = commits::last_before(reader, end)? {
        return Ok(commit.is_by(moment));
    }
    // Nothing in the archive committed before: then there were no writes while it was taken, and its begin is that of its label.
    let begun = backup.start_time.strip_suffix(" UTC").or_else(|| backup.start_time.strip_suffix(" GMT"));
    Ok(begun.is_some_and(|begun| begun <= moment.text.as_str()))
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
    // COMMIT PREPARED is written in no transaction, or in another one: only its text names the one that it ends.
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
fn last_segment<C: Machine>(
    reader: &Reader<'_, C>,
    wish: &Wish<'_>,
    backup: &Backup,
    commit: Option<Lsn>,
) -> Result<u64, Failure> {
    let archive = reader.archive;
    let newest = archive.segments.last().map_or(0, |segment| segment.number);
    let holding = |lsn: Lsn| lsn.0 / archive.segment_size.bytes();
    Ok(match (wish.target, wish.moment, commit) {
        (Target::Lsn(lsn), _, _) => holding(*lsn),
        (Target::Immediate(_), _, _) => backup.end_lsn.map_or(newest, holding),
        (_, _, Some(commit)) => holding(commit),
        (_, Some(moment), _) => Times::new(reader, wish.system_identifier)
            .end_of(moment)?
            .map_or_else(|| Err(nothing_later(reader, wish.target)?), Ok)?,
        _ => newest,
    })
}

/// Recovery to a moment ends at the first transaction that ended later: without one, the server cannot know that it is there.
fn nothing_later<C: Machine>(reader: &Reader<'_, C>, target: &Target) -> Result<Failure, Failure> {
    let last = commits::last_before(reader, Lsn(u64::MAX))?;
    let last = last.map_or_else(String::new, |last| format!(": the last one is of {} UTC", last.time));
    let message = format!(
        "no transaction in the archive committed after {}{last}. So nothing shows that the archive reaches that moment: if the \
         server runs, have it archive what it has written since (`pg/switch-wal`), or restore with `target: {{ latest: true }}`, \
         which is all that the archive has",
        target.describe()
    );
    Ok(Failure::permanent("pg-target-not-reached", message))
}

fn choice<C: Machine>(
    reader: &Reader<'_, C>,
    backup: Backup,
    wish: &Wish<'_>,
    found: Found,
) -> Result<Choice, Failure> {
    let archive = reader.archive;
    let first = Segment::holding(backup.start_lsn, backup.timeline, archive.segment_size);
    let last = last_segment(reader, wish, &backup, found.commit)?;
    let segments = between(archive, first.number, last).to_vec();
    if segments.first().is_none_or(|segment| segment.number != first.number) {
        return Err(archive.gap(archive.chain.segment(first.number, archive.segment_size)));
    }
    archive.whole(&segments)?;
    let end = segments.last().map_or(first, |segment| *segment);
    if end.number < last {
        return Err(archive.gap(archive.chain.segment(end.number + 1, archive.segment_size)));
    }
    let after = Segment { number: end.number + 1, ..end }.start(archive.segment_size);
    let expected = expected(wish, &backup, found)?;
    let newest = archive.segments.last().map_or(end, |segment| *segment);
    let end = expected.lsn().unwrap_or(after);
    Ok(Choice { backup, segments, newest, chain: archive.chain.clone(), end, expected })
}

fn expected(wish: &Wish<'_>, backup: &Backup, found: Found) -> Result<Expected, Failure> {
    let unknown =
        || Failure::permanent("pg-end-not-proven", format!("{} is not in the archive", wish.target.describe()));
    let commit = |xid: Option<u32>, before| {
        Ok(Expected::Commit { xid: xid.ok_or_else(unknown)?, lsn: found.commit.ok_or_else(unknown)?, before })
    };
    match wish.target {
        Target::Latest(_) => found.end.map(Expected::Latest).ok_or_else(unknown),
        Target::Immediate(_) => Ok(Expected::Consistent(backup.end_lsn)),
        Target::Time(_) => wish.moment.map(|moment| Expected::Time(moment.text.clone())).ok_or_else(unknown),
        Target::Lsn(lsn) => Ok(Expected::Position(*lsn)),
        Target::Xid(_) => commit(wish.target.xid(), false),
        Target::BeforeXid(_) => commit(wish.target.xid(), true),
    }
}
