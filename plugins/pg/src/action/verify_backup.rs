//! `pg/verify-backup`: whether a base backup is intact and the archive continues from it without a gap.

use jiff::Timestamp;
use lifeboat_plugin::{Action, Call, Effect, Failure, Machine, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    backup::{
        base_backup::{self, BACKUPS, Backup, Folders, Unusable},
        control,
    },
    server::Capabilities,
    wal::{
        archive::{self, ARCHIVE, Archive},
        dump::{Pass, Reader},
        full_read::{Read, Wal},
        segment::Segment,
        span::Span,
        waldump::Kind,
    },
};

/// How many programs read WAL at a time, unless an action specifies otherwise.
const PROCESSES: u8 = 2;
/// The most that a call may have.
const PROCESSES_MAX: u8 = 8;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    backup: Option<String>,
    #[serde(default)]
    oldest: bool,
    until: Option<Timestamp>,
    timeline: Option<u32>,
    #[serde(default)]
    wal: Wish,
    processes: Option<u8>,
    archive: Option<String>,
    backups: Option<String>,
}

/// What is done with the WAL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wish {
    #[default]
    Read,
    Count,
}

pub(super) fn action() -> Action {
    Action::new(
        "verify-backup",
        Effect::Read,
        "Checks every file of a base backup against its manifest, and that the archive has every WAL segment from \
         the backup's begin on, of the same cluster and of the timeline. Every record of that WAL is read with \
         pg_waldump, which checks it as replay does, unless `wal` is `count`. Folders that are no whole backup are \
         named; the step fails if one of them may be newer than the newest whole one and no `backup` is given.",
    )
    .parameter("machine", "target<machine:read>", "Where backup and archive are.")
    .optional("backup", "string", "The backup's folder (the newest).")
    .optional("oldest", "bool", "Check the oldest backup instead of the newest, if no `backup` is given.")
    .optional("until", "timestamp", "The archive must hold a transaction that committed at this moment or later.")
    .optional("timeline", "int", "Which timeline the archive must go on with (the backup's); 0 means that one too.")
    .optional(
        "wal",
        "string",
        "`read` every record of the WAL (the default), or only `count` segments and read their headers.",
    )
    .optional("processes", "int", "How many programs read WAL at a time, at most 8 (2).")
    .optional("archive", "string", "Folder of the binding with the WAL archive (`archive`).")
    .optional("backups", "string", "Folder of the binding with the base backups (`backups`).")
    .output("backup", "string", "The backup that was checked.")
    .output("size_bytes", "int", "Its size; 0 if the manifest is too large to read.")
    .output("timeline", "int", "The timeline that was followed.")
    .output("segments", "int", "WAL segments from its begin on.")
    .output("last_segment", "string", "The last one.")
    .output("last_archived", "timestamp", "When that file was written, as the machine says.")
    .output("wal", "string", "What was done with the WAL: `read` or `count`.")
    .output("wal_bytes", "int", "Bytes of WAL that were read, record by record; 0 if it was only counted.")
    .maybe_output("wal_end", "string", "The end of the last whole record, where the WAL was read.")
    .output("unusable", "list<string>", "What is among the backups and is no whole backup, with the reason.")
    .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let folder = caps.folder(machine, parameters.backups.as_deref().unwrap_or(BACKUPS))?;
    let archives = parameters.archive.as_deref().unwrap_or(ARCHIVE);
    let (backup, unusable) = pick(caps, &folder, archives, &parameters)?;
    let path = format!("{folder}/{}", backup.name);
    check_files(caps, machine, &path)?;

    let timeline = parameters.timeline.filter(|timeline| *timeline != 0).unwrap_or(backup.timeline);
    let facts = control::read(caps, machine, &path)?.facts(&path, timeline)?;
    let archive = archive::list(caps, machine, archives, &facts)?;
    if !backup.leads_to(&archive.chain) {
        return Err(Failure::permanent("pg-timeline", backup.astray(&folder, &archive.chain)));
    }
    let segments = from_begin(&archive, &backup)?;
    let heads = archive.check_heads(caps, machine, segments, facts.system_identifier)?;
    archive.check_end()?;
    check_reach(caps, machine, &archive, parameters.until)?;
    let read = match parameters.wal {
        Wish::Count => None,
        Wish::Read => {
            let processes = usize::from(parameters.processes.unwrap_or(PROCESSES).clamp(1, PROCESSES_MAX));
            Some(Wal { archive: &archive, segments, heads: &heads }.read(caps, machine, processes)?)
        }
    };
    outcome(&archive, segments, &backup, read, &unusable)
}

fn outcome(
    archive: &Archive,
    segments: &[Segment],
    backup: &Backup,
    read: Option<Read>,
    unusable: &[String],
) -> Result<Outcome, Failure> {
    let last_segment = segments.last().map_or_else(String::new, |last| last.name(archive.segment_size));
    let archived_ms = archive.modified_ms.last().copied().unwrap_or_default();
    let last_archived = i64::try_from(archived_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let done =
        read.map_or_else(|| "only counted, not read".to_owned(), |read| format!("every record read, to {}", read.end));
    let summary =
        format!("{} is intact; {} WAL segments follow, to {last_segment} ({done})", backup.name, segments.len());
    let mut outputs = json!({
        "backup": backup.name,
        "size_bytes": backup.size_bytes,
        "timeline": archive.chain.timeline(),
        "segments": segments.len(),
        "last_segment": last_segment,
        "last_archived": last_archived.unwrap_or_default(),
        "wal": if read.is_some() { "read" } else { "count" },
        "wal_bytes": read.map_or(0, |read| read.bytes),
        "unusable": unusable,
    });
    if let Some(read) = read {
        outputs["wal_end"] = json!(read.end);
    }
    Outcome::new(outputs, summary)
}

/// The backup, and what else is in the folder.
fn pick<C: Capabilities>(
    caps: &C,
    folder: &str,
    archives: &str,
    parameters: &Parameters,
) -> Result<(Backup, Vec<String>), Failure> {
    let machine = parameters.machine.as_str();
    if let Some(name) = parameters.backup.as_deref() {
        base_backup::check_name(name)?;
        let missing = || Failure::permanent("pg-no-backup", format!("there is no base backup {folder}/{name}"));
        return Ok((base_backup::read(caps, machine, folder, name)?.ok_or_else(missing)?, Vec::new()));
    }
    let found = sort_out(caps, machine, folder, archives, base_backup::survey(caps, machine, folder)?)?;
    let described: Vec<String> = found.others.iter().map(|other| other.describe(folder)).collect();
    described.iter().for_each(|other| caps.warn(other));
    let ends = if parameters.oldest { found.whole.first() } else { found.whole.last() };
    let Some(backup) = ends.cloned() else { return Err(base_backup::none(folder, &found.others)) };
    let newer = || found.others.iter().find(|other| other.is_newer(&backup));
    if !parameters.oldest
        && let Some(newer) = newer()
    {
        let message = format!("{}; {} is the newest whole backup", newer.describe(folder), backup.name);
        return Err(Failure::permanent("pg-backup-unusable", message));
    }
    Ok((backup, described))
}

/// Removes from the whole backups those of a cluster other than the one whose WAL is archived. If only one cluster has backups,
/// the archive is compared with it later.
fn sort_out<C: Capabilities>(
    caps: &C,
    machine: &str,
    folder: &str,
    archives: &str,
    found: Folders,
) -> Result<Folders, Failure> {
    let identifier =
        |backup: &Backup| Ok(control::read(caps, machine, &format!("{folder}/{}", backup.name))?.system_identifier());
    let clusters = found.whole.iter().map(identifier).collect::<Result<Vec<_>, Failure>>()?;
    if clusters.windows(2).all(|pair| pair[0] == pair[1]) {
        return Ok(found);
    }
    let owner = archive::owner(caps, machine, archives)?;
    let mut sorted = Folders { whole: Vec::new(), others: found.others };
    for (backup, cluster) in found.whole.into_iter().zip(clusters) {
        if cluster == owner {
            sorted.whole.push(backup);
        } else {
            let name = |cluster: Option<u64>| cluster.map_or("unknown".to_owned(), |it| it.to_string());
            let why = format!("is of the cluster {}, but the archive is of {}", name(cluster), name(owner));
            sorted.others.push(Unusable {
                name: backup.name,
                why,
                start_lsn: None,
                start_time: Some(backup.start_time),
                is_backup: true,
            });
        }
    }
    Ok(sorted)
}

/// Compares the files with the manifest, using pg_verifybackup; the WAL is checked in the archive instead.
pub(super) fn check_files(caps: &impl Machine, machine: &str, path: &str) -> Result<(), Failure> {
    let output = caps.run(machine, "pg_verifybackup", &["-n".to_owned(), "-q".to_owned(), path.to_owned()], None)?;
    if output.succeeded() {
        return Ok(());
    }
    Err(Failure::permanent("pg-backup-damaged", format!("{path}: {}", output.last_lines(5))))
}

/// The segments from the backup's begin to the archive's end, without a gap.
pub(super) fn from_begin<'a>(archive: &'a Archive, backup: &Backup) -> Result<&'a [Segment], Failure> {
    let first = Segment::holding(backup.start_lsn, backup.timeline, archive.segment_size);
    let start = archive.segments.partition_point(|segment| segment.number < first.number);
    let segments = &archive.segments[start..];
    if segments.first().is_none_or(|segment| segment.number != first.number) {
        return Err(archive.gap(archive.chain.segment(first.number, archive.segment_size)));
    }
    archive.whole(segments)?;
    Ok(segments)
}

/// Whether a transaction that committed at the moment or later is in the archive: by the WAL, because a file's time says only
/// when it was last copied.
fn check_reach(
    caps: &impl Capabilities,
    machine: &str,
    archive: &Archive,
    until: Option<Timestamp>,
) -> Result<(), Failure> {
    let Some(until) = until else { return Ok(()) };
    let last = last_commit(caps, machine, archive)?;
    if last.as_deref().and_then(commit_time).is_some_and(|last| last >= until) {
        return Ok(());
    }
    let last = last.map_or("holds no commit".to_owned(), |time| format!("ends with a commit at {time}"));
    let message = format!("the archive {} {last}, before {until}", archive.path);
    Err(Failure::permanent("pg-archive-late", message))
}

/// When the last transaction in the archive committed.
fn last_commit(caps: &impl Capabilities, machine: &str, archive: &Archive) -> Result<Option<String>, Failure> {
    let reader = Reader { caps, machine, archive };
    for segment in archive.segments.iter().rev() {
        let mut last = None;
        reader.read(&Pass::of(&["Transaction"]), Span::of(std::slice::from_ref(segment)), |record| {
            if let Kind::Commit { time, .. } = record.kind {
                last = Some(time);
            }
        })?;
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// `2026-11-21 03:55:29.073844 UTC`; programs of a machine run in UTC.
fn commit_time(text: &str) -> Option<Timestamp> {
    let time = text.strip_suffix(" UTC")?.replacen(' ', "T", 1);
    format!("{time}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::commit_time;

    #[test]
    fn a_commit_has_a_time() {
        let time = commit_time("2026-11-21 03:55:29.073844 UTC").map(|time| time.to_string());
        assert_eq!(time.as_deref(), Some("2026-11-21T03:55:29.073844Z"));
        assert_eq!(commit_time("2026-11-21 03:55:29.073844 CET"), None);
    }
}
