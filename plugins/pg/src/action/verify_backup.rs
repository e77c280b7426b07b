//! `pg/verify-backup`: whether a base backup is intact and the archive goes on from it without a gap.

use jiff::Timestamp;
use lifeboat_plugin::{Action, Call, Effect, Failure, Machine, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    archive::{self, ARCHIVE, Archive},
    backup::{self, BACKUPS, Backup},
    control,
    server::Capabilities,
    wal_name::Segment,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    backup: Option<String>,
    #[serde(default)]
    oldest: bool,
    until: Option<Timestamp>,
    archive: Option<String>,
    backups: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "verify-backup",
        Effect::Read,
        "Checks every file of a base backup against its manifest, and that the archive has every WAL segment from the \
         backup's begin on, of the same cluster.",
    )
    .parameter("machine", "target<machine:read>", "Where backup and archive are.")
    .optional("backup", "string", "The backup's folder; the newest unless given.")
    .optional("oldest", "bool", "The oldest backup instead of the newest, where none is named.")
    .optional("until", "timestamp", "The archive must reach at least to this moment.")
    .optional("archive", "string", "Folder of the binding with the WAL archive (`archive`).")
    .optional("backups", "string", "Folder of the binding with the base backups (`backups`).")
    .output("backup", "string", "The backup that was checked.")
    .output("size_bytes", "int", "Its size; 0 where the manifest is too large to read.")
    .output("segments", "int", "WAL segments from its begin on.")
    .output("last_segment", "string", "The last one.")
    .output("last_archived", "timestamp", "When that one was written into the archive.")
    .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let folder = caps.folder(machine, parameters.backups.as_deref().unwrap_or(BACKUPS))?;
    let backup = pick(caps, machine, &folder, &parameters)?;
    let path = format!("{folder}/{}", backup.name);
    check_files(caps, machine, &path)?;

    let facts = control::read(caps, machine, &path)?.facts(&path)?;
    let archive = archive::list(caps, machine, parameters.archive.as_deref().unwrap_or(ARCHIVE), &facts)?;
    let segments = from_begin(&archive, &backup)?;
    archive.check_owner(caps, machine, segments[0], facts.system_identifier)?;
    let last = segments[segments.len() - 1];
    let archived_ms = archive.modified_ms.last().copied().unwrap_or_default();
    check_reach(&archive, archived_ms, parameters.until)?;
    let last_segment = last.name(archive.segment_size);
    let last_archived = i64::try_from(archived_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let summary = format!("{} is intact; {} WAL segments follow, to {last_segment}", backup.name, segments.len());
    let outputs = json!({
        "backup": backup.name,
        "size_bytes": backup.size_bytes,
        "segments": segments.len(),
        "last_segment": last_segment,
        "last_archived": last_archived.unwrap_or_default(),
    });
    Outcome::new(outputs, summary)
}

fn pick(caps: &impl Machine, machine: &str, folder: &str, parameters: &Parameters) -> Result<Backup, Failure> {
    let name = parameters.backup.as_deref();
    let found = match name {
        Some(name) => {
            backup::check_name(name)?;
            backup::read(caps, machine, folder, name)?
        }
        None if parameters.oldest => backup::list(caps, machine, folder)?.into_iter().next(),
        None => backup::list(caps, machine, folder)?.pop(),
    };
    let missing = || match name {
        Some(name) => format!("there is no base backup {folder}/{name}"),
        None => format!("there is no whole base backup in {folder}"),
    };
    found.ok_or_else(|| Failure::permanent("pg-no-backup", missing()))
}

/// Holds the files against the manifest with pg_verifybackup; the WAL is looked at in the archive instead.
pub(super) fn check_files(caps: &impl Machine, machine: &str, path: &str) -> Result<(), Failure> {
    let output = caps.run(machine, "pg_verifybackup", &["-n".to_owned(), "-q".to_owned(), path.to_owned()], None)?;
    if output.succeeded() {
        return Ok(());
    }
    Err(Failure::permanent("pg-backup-damaged", format!("{path}: {}", output.last_lines(5))))
}

/// The segments from the backup's begin to the archive's end, without a gap.
fn from_begin<'a>(archive: &'a Archive, backup: &Backup) -> Result<&'a [Segment], Failure> {
    let first = Segment::holding(backup.start_lsn, backup.timeline, archive.segment_size);
    let start = archive.segments.partition_point(|segment| segment.number < first.number);
    let segments = &archive.segments[start..];
    if segments.first().is_none_or(|segment| segment.number != first.number) {
        return Err(archive.gap(first));
    }
    archive.whole(segments)?;
    Ok(segments)
}

fn check_reach(archive: &Archive, archived_ms: u64, until: Option<Timestamp>) -> Result<(), Failure> {
    let Some(until) = until else { return Ok(()) };
    let reached = u64::try_from(until.as_millisecond()).is_ok_and(|until_ms| archived_ms >= until_ms);
    if reached {
        return Ok(());
    }
    let message = format!("the newest segment in {} was archived before {until}", archive.path);
    Err(Failure::permanent("pg-archive-late", message))
}
