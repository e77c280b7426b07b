//! Base backups in plain format: what `backup_label` and `backup_manifest` say about them.

use lifeboat_plugin::{Failure, Machine, machine};
use serde::{Deserialize, Serialize};

use crate::wal_name::Lsn;

/// The folder of a binding where base backups lie, unless an action is told otherwise.
pub const BACKUPS: &str = "backups";

/// What the host reads in one file at most.
const READABLE_BYTES: u64 = 16 << 20;

/// A base backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// Its folder's name.
    pub name: String,
    /// The label it was given.
    pub label: String,
    /// Where replay begins.
    pub start_lsn: Lsn,
    /// Where it is consistent; none where the manifest is missing or too large to read.
    pub end_lsn: Option<Lsn>,
    /// When it was begun, as the server wrote it: `2026-11-21 03:55:28 UTC`.
    pub start_time: String,
    /// The timeline it was begun on.
    pub timeline: u32,
    /// Of its files, in bytes; 0 where the manifest is missing or too large to read.
    pub size_bytes: u64,
    /// When its manifest was written (milliseconds since 1970): not before its end.
    pub finished_ms: u64,
    /// Whether it has tablespaces besides the default one.
    pub tablespaces: bool,
}

/// What `backup_label` says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Label {
    start_lsn: Lsn,
    start_time: String,
    label: String,
    timeline: u32,
}

fn parse_label(text: &str) -> Option<Label> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Some(Label {
        start_lsn: field("START WAL LOCATION")?.split(' ').next()?.parse().ok()?,
        start_time: field("START TIME")?.to_owned(),
        label: field("LABEL").unwrap_or_default().to_owned(),
        timeline: field("START TIMELINE")?.parse().ok()?,
    })
}

/// The part of `backup_manifest` that is used: <https://www.postgresql.org/docs/current/backup-manifest-format.html>.
#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(rename = "Files")]
    files: Vec<ManifestFile>,
    #[serde(rename = "WAL-Ranges")]
    wal_ranges: Vec<WalRange>,
}

#[derive(Debug, Deserialize)]
struct ManifestFile {
    #[serde(rename = "Size")]
    size: u64,
}

#[derive(Debug, Deserialize)]
struct WalRange {
    #[serde(rename = "End-LSN")]
    end: Lsn,
}

/// The backup in a folder below `folder`; none where there is none.
pub fn read(caps: &impl Machine, machine: &str, folder: &str, name: &str) -> Result<Option<Backup>, Failure> {
    let path = format!("{folder}/{name}");
    let label = match caps.read_file(machine, &format!("{path}/backup_label")) {
        Ok(content) => content,
        Err(machine::Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(label) = parse_label(&String::from_utf8_lossy(&label)) else {
        let message = format!("{path}/backup_label does not say where the backup begins");
        return Err(Failure::permanent("pg-backup-damaged", message));
    };
    let files = caps.list_folder(machine, &path)?;
    let manifest_file = files.iter().find(|entry| entry.name == "backup_manifest");
    let manifest = match manifest_file {
        Some(entry) if entry.size <= READABLE_BYTES => Some(manifest(caps, machine, &path)?),
        _ => None,
    };
    Ok(Some(Backup {
        name: name.to_owned(),
        label: label.label,
        start_lsn: label.start_lsn,
        end_lsn: manifest.as_ref().and_then(|it| it.wal_ranges.iter().map(|range| range.end).max()),
        start_time: label.start_time,
        timeline: label.timeline,
        size_bytes: manifest.map_or(0, |it| it.files.iter().map(|file| file.size).sum()),
        finished_ms: manifest_file.map_or(0, |entry| entry.modified_ms),
        tablespaces: files.iter().any(|entry| entry.name == "tablespace_map"),
    }))
}

fn manifest(caps: &impl Machine, machine: &str, path: &str) -> Result<Manifest, Failure> {
    let content = caps.read_file(machine, &format!("{path}/backup_manifest"))?;
    serde_json::from_slice(&content)
        .map_err(|error| Failure::permanent("pg-backup-damaged", format!("{path}/backup_manifest: {error}")))
}

/// Every whole backup below the folder, oldest first; a folder without a manifest is still being written.
pub fn list(caps: &impl Machine, machine: &str, folder: &str) -> Result<Vec<Backup>, Failure> {
    let mut backups = Vec::new();
    for entry in caps.list_folder(machine, folder)? {
        if entry.kind == machine::EntryKind::Folder
            && let Some(backup) = read(caps, machine, folder, &entry.name)?
            && backup.finished_ms > 0
        {
            backups.push(backup);
        }
    }
    backups.sort_by_key(|backup| backup.start_lsn);
    Ok(backups)
}

/// Refuses what is not the name of a folder, before it becomes a path.
pub fn check_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') || name.contains('\0') {
        return Err(Failure::invalid_input("pg-no-backup", format!("`{name}` is not the name of a backup's folder")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_understood() {
        let text = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: 0/2000060\n\
                    BACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-11-21 03:55:28 UTC\n\
                    LABEL: daily\nSTART TIMELINE: 1\n";
        let expect = Label {
            start_lsn: Lsn(0x200_0028),
            start_time: "2026-11-21 03:55:28 UTC".to_owned(),
            label: "daily".to_owned(),
            timeline: 1,
        };
        assert_eq!(parse_label(text), Some(expect));
        assert_eq!(parse_label("LABEL: daily"), None);
    }

    #[test]
    fn a_name_can_not_leave_its_folder() {
        for name in ["", "..", ".", "a/b", "/etc", "a\0b"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("base-2026-11-21").is_ok());
    }
}
