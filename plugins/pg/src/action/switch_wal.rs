//! `pg/switch-wal`: pushes the WAL that was written so far into the archive.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, postgres::Value};
use serde::Deserialize;
use serde_json::json;

use crate::{
    server::{self, Capabilities},
    wal::{
        archive::{self, ARCHIVE},
        segment::{Lsn, NotAnLsn, Segment, SegmentSize},
    },
};

const PAUSE_MS: u64 = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    machine: Option<String>,
    wait: Option<bool>,
    archive: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "switch-wal",
        Effect::Mutate,
        "Switches to a new WAL segment, so that everything written so far is archived, and waits until it is. Needs \
         the right to call pg_switch_wal.",
    )
    .parameter("server", "target<postgres:write>", "The server that writes.")
    .optional("machine", "target<machine:read>", "Where the archive lies, to see the segment there too.")
    .optional("wait", "bool", "Wait until the segment is archived (true).")
    .optional("archive", "string", "Folder of the binding with the WAL archive (`archive`).")
    .output("lsn", "string", "Everything before it is archived.")
    .output("segment", "string", "The last segment that was pushed.")
    .output("timeline", "int", "The timeline that the server writes on.")
    .output("archived", "bool", "Whether it was seen as archived.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let connection = caps.open(&parameters.server)?;
    let folder = parameters.archive.as_deref().unwrap_or(ARCHIVE);
    let archive = parameters.machine.as_deref().map(|machine| (machine, folder));
    let waits = parameters.wait != Some(false);
    let (lsn, segment) = switch(caps, &connection, archive, waits)?;
    let outputs = json!({ "lsn": lsn, "segment": segment, "timeline": timeline(&segment), "archived": waits });
    let summary = match waits {
        true => format!("everything up to {lsn} is archived (segment {segment})"),
        false => format!("switched at {lsn}; did not wait for the archive"),
    };
    Outcome::new(outputs, summary)
}

/// Switches, and waits until everything before is archived: also in this folder of a machine. The position of the switch, and the segment
/// that it ended.
pub(super) fn switch<C: Capabilities>(
    caps: &C,
    connection: &impl Connection,
    archive: Option<(&str, &str)>,
    waits: bool,
) -> Result<(String, String), Failure> {
    check_archiving(connection)?;
    let size = segment_size(connection)?;
    let archive = archive
        .map(|(machine, folder)| Ok::<_, Failure>(Folder { caps, machine, path: caps.folder(machine, folder)?, size }));
    let archive = archive.transpose()?;
    if let Some(archive) = &archive {
        archive.has("")?;
    }
    let rows = connection.query(
        "SELECT s.lsn::text AS lsn, pg_walfile_name(s.lsn) AS segment FROM (SELECT pg_switch_wal() AS lsn) AS s",
        &[],
    )?;
    let (lsn, segment): (String, String) = (rows.one()?.get("lsn")?, rows.one()?.get("segment")?);
    let segment = last_segment(&lsn, &segment, size)?;
    if waits {
        wait_archived(caps, connection, &segment)?;
        if let Some(archive) = &archive {
            while !archive.has(&segment)? {
                pause(caps, &segment)?;
            }
        }
    }
    Ok((lsn, segment))
}

/// The segment that the switch has ended. Without a record since the last switch, the switch does nothing and answers with the
/// end of the segment before; which file that is, `pg_walfile_name` says differently since PostgreSQL 17: the next one, which the
/// server has not written yet.
fn last_segment(lsn: &str, segment: &str, size: SegmentSize) -> Result<String, Failure> {
    let odd = |what: String| Failure::permanent("pg-odd-answer", what);
    let end: Lsn = lsn.parse().map_err(|error: NotAnLsn| odd(error.to_string()))?;
    let timeline =
        timeline(segment).ok_or_else(|| odd(format!("`{segment}` is not the name of a segment of the WAL")))?;
    Ok(Segment::holding(Lsn(end.0.saturating_sub(1)), timeline, size).name(size))
}

fn check_archiving(connection: &impl Connection) -> Result<(), Failure> {
    let mode = server::setting(connection, "archive_mode")?.unwrap_or_default();
    if mode == "off" {
        let message = "archive_mode is off: this server archives nothing";
        return Err(Failure::permanent("pg-not-archiving", message));
    }
    Ok(())
}

/// Waits until pg_stat_archiver has a segment at or after this one on the same timeline. A failure of the archiver that is
/// newer than its last success ends the wait: it may go away, so it is transient.
fn wait_archived(caps: &impl Capabilities, connection: &impl Connection, segment: &str) -> Result<(), Failure> {
    loop {
        let rows = connection.query(
            "SELECT coalesce(last_archived_wal, '') AS done, coalesce(last_failed_wal, '') AS failed,
                    coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing
               FROM pg_stat_archiver",
            &[],
        )?;
        let row = rows.one()?;
        if is_at_least(&row.get::<String>("done")?, segment) {
            return Ok(());
        }
        if row.get("failing")? {
            let failed: String = row.get("failed")?;
            let message = format!("the server cannot archive {failed}: see its log, and archive_command");
            return Err(Failure::transient("pg-archiver-failing", message));
        }
        pause(caps, segment)?;
    }
}

/// Whether an archived file is that segment or a later one; other files (histories, labels) are named after segments too.
fn is_at_least(done: &str, segment: &str) -> bool {
    let name = |file: &str| file.get(..24).map(str::to_owned);
    name(done).is_some_and(|done| Some(done) >= name(segment))
}

fn timeline(segment: &str) -> Option<u32> {
    segment.get(..8).and_then(|timeline| u32::from_str_radix(timeline, 16).ok())
}

fn segment_size(connection: &impl Connection) -> Result<SegmentSize, Failure> {
    let rows = connection.query(
        "SELECT setting::bigint AS size FROM pg_settings WHERE name = $1::text",
        &[Value::from("wal_segment_size")],
    )?;
    let size: i64 = rows.one()?.get("size")?;
    let odd = || Failure::permanent("pg-odd-answer", format!("the server says that its segments have {size} bytes"));
    u64::try_from(size).ok().and_then(SegmentSize::new).ok_or_else(odd)
}

/// The location of the archive.
struct Folder<'a, C> {
    caps: &'a C,
    machine: &'a str,
    path: String,
    size: SegmentSize,
}

impl<C: Capabilities> Folder<'_, C> {
    /// Whether the segment is there and whole. Fails at once if segments arrive there in another form.
    fn has(&self, segment: &str) -> Result<bool, Failure> {
        let entries = self.caps.list_folder(self.machine, &self.path)?;
        archive::check_format(self.caps, self.machine, &self.path, &entries, self.size)?;
        Ok(entries.iter().any(|entry| entry.name == segment && entry.size == self.size.bytes()))
    }
}

fn pause(caps: &impl Capabilities, segment: &str) -> Result<(), Failure> {
    if caps.sleep_ms(PAUSE_MS) {
        return Ok(());
    }
    Err(Failure::transient("pg-not-archived", format!("segment {segment} is not in the archive yet")))
}

#[cfg(test)]
mod tests {
    use super::{SegmentSize, is_at_least, last_segment};

    #[test]
    fn a_switch_that_had_nothing_to_switch_names_the_segment_before() {
        let size = SegmentSize::new(16 << 20).expect("a size");
        let check = |lsn: &str, segment: &str| last_segment(lsn, segment, size).ok();
        let before = Some("000000020000000000000007".to_owned());
        assert_eq!(check("0/8000000", "000000020000000000000007"), before, "up to PostgreSQL 16");
        assert_eq!(check("0/8000000", "000000020000000000000008"), before, "since PostgreSQL 17");
        assert_eq!(check("0/7000060", "000000020000000000000007"), before);
        assert_eq!(check("nowhere", "000000020000000000000007"), None);
        assert_eq!(check("0/7000060", "?"), None);
    }

    #[test]
    fn a_later_segment_counts() {
        let check =
            |done: &str, expect: bool| assert_eq!(is_at_least(done, "000000010000000000000003"), expect, "{done}");
        check("000000010000000000000003", true);
        check("000000010000000000000004", true);
        check("000000010000000000000003.00000028.backup", true);
        check("000000010000000000000002", false);
        check("00000002.history", false);
        check("", false);
    }
}
