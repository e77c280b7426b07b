//! Base backups in plain format: what `backup_label` and `backup_manifest` say about them.

use lifeboat_plugin::{Failure, Machine, machine};
use serde::{Deserialize, Serialize};

use crate::wal::{segment::Lsn, timeline::Chain};

/// The folder of a binding that contains base backups, unless an action specifies otherwise.
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
    /// Where it is consistent; `None` if the manifest is missing or too large to read.
    pub end_lsn: Option<Lsn>,
    /// When it was begun, as the server wrote it: `2026-11-21 03:55:28 UTC`.
    pub start_time: String,
    /// The timeline it was begun on.
    pub timeline: u32,
    /// The size of its files in bytes; 0 if the manifest is missing or too large to read.
    pub size_bytes: u64,
    /// When its manifest was written (milliseconds since 1970): not before its end.
    pub finished_ms: u64,
    /// Whether it has only what changed since another backup.
    pub incremental: bool,
}

impl Backup {
    /// Whether the WAL of the chain's timeline continues from it.
    pub fn leads_to(&self, chain: &Chain) -> bool {
        chain.writer(self.start_lsn) == self.timeline
    }

    /// That it does not, for people.
    pub fn astray(&self, folder: &str, chain: &Chain) -> String {
        format!(
            "{folder}/{} was taken on timeline {}, which does not lead to timeline {}",
            self.name,
            self.timeline,
            chain.timeline()
        )
    }
}

/// A folder from which nothing can be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
    /// Where the backup in it begins, where it says so.
    pub start_lsn: Option<Lsn>,
    /// When it was begun, where it says so.
    pub start_time: Option<String>,
    /// Whether it holds a backup at all, or a part of one.
    pub is_backup: bool,
}

impl Unusable {
    /// Whether it may be newer than that backup. If that is unknown, it counts as newer; a file's time says nothing about a backup.
    pub fn is_newer(&self, than: &Backup) -> bool {
        if !self.is_backup {
            return false;
        }
        if let Some(start) = self.start_lsn {
            return start >= than.start_lsn;
        }
        let zone = |time: &str| time.rsplit_once(' ').map(|(_, zone)| zone.to_owned());
        let time = self.start_time.as_deref().filter(|time| zone(time) == zone(&than.start_time));
        time.is_none_or(|time| time >= than.start_time.as_str())
    }

    /// For people.
    pub fn describe(&self, folder: &str) -> String {
        format!("{folder}/{} {}", self.name, self.why)
    }
}

/// The content of a folder of backups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folders {
    /// Whole backups, by the position where they begin.
    pub whole: Vec<Backup>,
    /// Everything else.
    pub others: Vec<Unusable>,
}

/// What `backup_label` says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Label {
    start_lsn: Lsn,
    start_time: String,
    label: String,
    timeline: u32,
    incremental: bool,
}

fn parse_label(text: &str) -> Option<Label> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Some(Label {
        start_lsn: field("START WAL LOCATION")?.split(' ').next()?.parse().ok()?,
        start_time: field("START TIME")?.to_owned(),
        label: field("LABEL").unwrap_or_default().to_owned(),
        timeline: field("START TIMELINE")?.parse().ok()?,
        incremental: field("INCREMENTAL FROM LSN").is_some(),
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
    #[serde(rename = "Start-LSN")]
    start: Lsn,
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
        incremental: label.incremental,
    }))
}

fn manifest(caps: &impl Machine, machine: &str, path: &str) -> Result<Manifest, Failure> {
    let content = caps.read_file(machine, &format!("{path}/backup_manifest"))?;
    serde_json::from_slice(&content)
        .map_err(|error| Failure::permanent("pg-backup-damaged", format!("{path}/backup_manifest: {error}")))
}

/// Every whole backup below the folder, oldest first.
pub fn list(caps: &impl Machine, machine: &str, folder: &str) -> Result<Vec<Backup>, Failure> {
    Ok(survey(caps, machine, folder)?.whole)
}

/// Looks into every folder below the folder.
pub fn survey(caps: &impl Machine, machine: &str, folder: &str) -> Result<Folders, Failure> {
    let mut found = Folders::default();
    for entry in caps.list_folder(machine, folder)? {
        let name = entry.name.as_str();
        match entry.kind {
            machine::EntryKind::Folder => match look(caps, machine, folder, name)? {
                Ok(backup) => found.whole.push(backup),
                Err(unusable) => found.others.push(unusable),
            },
            _ if is_tar(name) => found.others.push(unusable(name, TAR, true)),
            _ => {}
        }
    }
    found.whole.sort_by_key(|backup| backup.start_lsn);
    Ok(found)
}

const TAR: &str = "is in tar format; only backups in plain format are supported";

fn is_tar(name: &str) -> bool {
    name.strip_prefix("base.tar").is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn unusable(name: &str, why: &str, is_backup: bool) -> Unusable {
    Unusable { name: name.to_owned(), why: why.to_owned(), start_lsn: None, start_time: None, is_backup }
}

/// The whole backup in a folder, or why there is none.
fn look(caps: &impl Machine, machine: &str, folder: &str, name: &str) -> Result<Result<Backup, Unusable>, Failure> {
    let path = format!("{folder}/{name}");
    let files = match caps.list_folder(machine, &path) {
        Ok(files) => files,
        Err(machine::Error::Failed(reason)) => {
            return Ok(Err(unusable(name, &format!("cannot be listed: {}", reason.message), false)));
        }
        Err(error) => return Err(error.into()),
    };
    let has = |file: &str| files.iter().any(|entry| entry.name == file);
    if files.iter().any(|entry| is_tar(&entry.name)) {
        let manifest = if has("backup_manifest") { manifest(caps, machine, &path).ok() } else { None };
        let start_lsn = manifest.and_then(|it| it.wal_ranges.iter().map(|range| range.start).min());
        return Ok(Err(Unusable { start_lsn, ..unusable(name, TAR, true) }));
    }
    match read(caps, machine, folder, name) {
        Ok(Some(backup)) => Ok(whole(backup)),
        Ok(None) if ["backup_manifest", "PG_VERSION", "global"].iter().any(|file| has(file)) => Ok(Err(unusable(
            name,
            "has no backup_label, so nothing says where it begins: it is a copy of a data folder, or the file was \
             removed",
            true,
        ))),
        Ok(None) => Ok(Err(unusable(name, "is no base backup", false))),
        // A truncated manifest does not hide where its backup begins.
        Err(failure) if failure.code() == "pg-backup-damaged" => {
            let label = caps.read_file(machine, &format!("{path}/backup_label")).unwrap_or_default();
            let label = parse_label(&String::from_utf8_lossy(&label));
            let (start_lsn, start_time) = label.map(|label| (label.start_lsn, label.start_time)).unzip();
            let why = format!("is damaged: {}", failure.reason().message);
            Ok(Err(Unusable { start_lsn, start_time, ..unusable(name, &why, true) }))
        }
        Err(failure) => Err(failure),
    }
}

fn whole(backup: Backup) -> Result<Backup, Unusable> {
    let why = if backup.finished_ms == 0 {
        "has no manifest: it was interrupted, is still being written, or was taken with --no-manifest"
    } else if backup.incremental {
        "is an incremental backup: make a full one of it with pg_combinebackup"
    } else {
        return Ok(backup);
    };
    let (start_lsn, start_time) = (Some(backup.start_lsn), Some(backup.start_time));
    Err(Unusable { start_lsn, start_time, ..unusable(&backup.name, why, true) })
}

/// The failure for a folder without a whole backup.
pub fn none(folder: &str, others: &[Unusable]) -> Failure {
    let mut message = format!("there is no whole base backup in {folder}");
    for other in others {
        message = format!("{message}; {}", other.describe(folder));
    }
    Failure::permanent("pg-no-backup", message)
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
            incremental: false,
        };
        assert_eq!(parse_label(text), Some(expect));
        // Version 17 and later.
        let incremental = format!("{text}INCREMENTAL FROM LSN: 0/1000028\nINCREMENTAL FROM TLI: 1\n");
        assert!(parse_label(&incremental).is_some_and(|label| label.incremental));
        assert_eq!(parse_label("LABEL: daily"), None);
    }

    #[test]
    fn what_cannot_be_dated_counts_as_newer() {
        let backup = Backup {
            name: "b".to_owned(),
            label: String::new(),
            start_lsn: Lsn(100),
            end_lsn: None,
            start_time: "2026-11-21 03:55:28 UTC".to_owned(),
            timeline: 1,
            size_bytes: 0,
            finished_ms: 1,
            incremental: false,
        };
        let check = |lsn: Option<u64>, time: Option<&str>, is_backup: bool, expect: bool| {
            let (start_lsn, start_time) = (lsn.map(Lsn), time.map(str::to_owned));
            let other = Unusable { start_lsn, start_time, ..unusable("x", "is x", is_backup) };
            assert_eq!(other.is_newer(&backup), expect, "{other:?}");
        };
        check(Some(101), None, true, true);
        check(Some(99), Some("2026-11-22 03:55:28 UTC"), true, false);
        check(None, Some("2026-11-21 03:55:27 UTC"), true, false);
        check(None, Some("2026-11-21 03:55:29 UTC"), true, true);
        check(None, Some("2026-11-21 03:55:27 CET"), true, true);
        check(None, None, true, true);
        check(None, None, false, false);
    }

    #[test]
    fn a_name_cannot_leave_its_folder() {
        for name in ["", "..", ".", "a/b", "/etc", "a\0b"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("base-2026-11-21").is_ok());
    }
}
