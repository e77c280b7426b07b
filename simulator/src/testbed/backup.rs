//! A base backup as the testbed took it.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

/// A base backup in the backups folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupInfo {
    /// The name of its folder below the backups folder.
    pub label: String,
    /// Its folder, as seen by this process.
    pub folder: PathBuf,
    /// Just before `pg_basebackup` started.
    pub started: Timestamp,
    /// Just after it ended.
    pub ended: Timestamp,
    /// Where its WAL starts, from its `backup_label`: `0/2000028`.
    pub start_lsn: String,
    /// The segment in which that lies.
    pub start_segment: String,
    /// The sum of the sizes of its files.
    pub bytes: u64,
}
