//! When a base backup was begun, by its content. The times of its files say at best when they were copied here.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use lifeboat_plugin::{Failure, Machine, machine};
use serde::Deserialize;

/// The part of `backup_manifest` that dates it: the server writes `backup_label` when the backup begins.
#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(rename = "Files")]
    files: Vec<File>,
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(rename = "Path")]
    path: Option<String>,
    #[serde(rename = "Last-Modified")]
    last_modified: String,
}

/// When the backup in that folder was begun. `start_time` is that of its label, in the time zone of the server's log; the
/// manifest has it in UTC.
pub fn taken(caps: &impl Machine, machine: &str, path: &str, start_time: &str) -> Result<Timestamp, Failure> {
    if let Some(taken) = universal(start_time) {
        return Ok(taken);
    }
    let manifest = match caps.read_file(machine, &format!("{path}/backup_manifest")) {
        Ok(content) => by_manifest(&content),
        Err(machine::Error::NotFound(_) | machine::Error::Failed(_)) => None,
        Err(error) => return Err(error.into()),
    };
    manifest.ok_or_else(|| {
        let message = format!(
            "its label says that {path} was begun at `{start_time}`, and there is no readable manifest to tell when \
             that is in UTC: its age is unknown"
        );
        Failure::permanent("pg-backup-too-old", message)
    })
}

fn by_manifest(content: &[u8]) -> Option<Timestamp> {
    let manifest: Manifest = serde_json::from_slice(content).ok()?;
    let label = manifest.files.iter().find(|file| file.path.as_deref() == Some("backup_label"))?;
    universal(&label.last_modified)
}

/// `2026-11-21 03:55:28 GMT`; `None` for other zones, whose abbreviations are ambiguous.
fn universal(text: &str) -> Option<Timestamp> {
    let (time, zone) = text.rsplit_once(' ')?;
    if !["UTC", "GMT"].contains(&zone) {
        return None;
    }
    let time: DateTime = time.parse().ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_where_its_zone_is_known() {
        let expected: Timestamp = "2026-11-21T03:55:28Z".parse().expect("a timestamp");
        assert_eq!(universal("2026-11-21 03:55:28 UTC"), Some(expected));
        assert_eq!(universal("2026-11-21 03:55:28 GMT"), Some(expected));
        for other in ["2026-11-21 04:55:28 CET", "2026-11-21 03:55:28", "soon UTC", ""] {
            assert_eq!(universal(other), None, "{other}");
        }
    }

    #[test]
    fn a_manifest_dates_the_label() {
        let manifest = r#"{ "PostgreSQL-Backup-Manifest-Version": 1, "Files": [
            { "Path": "base/1/1", "Size": 8192, "Last-Modified": "2026-01-01 00:00:00 GMT" },
            { "Encoded-Path": "ff", "Size": 1, "Last-Modified": "2026-01-01 00:00:00 GMT" },
            { "Path": "backup_label", "Size": 225, "Last-Modified": "2026-11-21 03:55:28 GMT" } ], "WAL-Ranges": [] }"#;
        assert_eq!(by_manifest(manifest.as_bytes()), universal("2026-11-21 03:55:28 UTC"));
        assert_eq!(by_manifest(b"{ \"Files\": [] }"), None);
        assert_eq!(by_manifest(b"not JSON"), None);
    }
}
