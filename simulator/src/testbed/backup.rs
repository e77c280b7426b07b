//! The base backups that the testbed takes.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    error::TestbedError,
    place::{Call, Place},
    roles,
};

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
    /// The segment that contains that position.
    pub start_segment: String,
    /// The sum of the sizes of its files.
    pub bytes: u64,
}

/// The source and the destination of backups.
#[derive(Debug)]
pub(super) struct BackupSource {
    /// The place that has the backups folder.
    pub(super) place: Place,
    /// Folder of PostgreSQL's programs there.
    pub(super) bin: String,
    /// The backups folder there.
    pub(super) folder: String,
    /// The same folder as seen by this process.
    pub(super) here: PathBuf,
    /// The server as reached from there.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) password: String,
}

impl BackupSource {
    /// Takes a plain base backup with a manifest (SHA-256) and the WAL that makes it consistent.
    pub(super) async fn take(&self, label: &str) -> Result<BackupInfo, TestbedError> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if label.is_empty() || label.starts_with('.') || !label.chars().all(plain) {
            let message = format!("`{label}` is not a valid label; use only letters, digits, `-`, `_` and `.`");
            return Err(TestbedError::Program { program: "pg_basebackup".into(), message });
        }
        let folder = format!("{}/{label}", self.folder);
        let port = self.port.to_string();
        let arguments = [
            "--host",
            &self.host,
            "--port",
            &port,
            "--username",
            roles::ENGINE,
            "--no-password",
            "--pgdata",
            &folder,
            "--label",
            label,
            "--checkpoint=fast",
            "--wal-method=stream",
            "--manifest-checksums=SHA256",
            // A testbed does not outlive its machine, so its backup need not be durable.
            "--no-sync",
        ];
        let started = Timestamp::now();
        let program = format!("{}/pg_basebackup", self.bin);
        self.place.run(&program, Call { password: Some(&self.password), ..Call::new(&arguments) }).await?;
        let ended = Timestamp::now();
        let text = self.place.run("cat", Call::new(&[&format!("{folder}/backup_label")])).await?;
        let (start_lsn, start_segment) = parse_label(&text)?;
        let bytes = self.size_of(&folder).await?;
        Ok(BackupInfo {
            label: label.to_owned(),
            folder: self.here.join(label),
            started,
            ended,
            start_lsn,
            start_segment,
            bytes,
        })
    }

    async fn size_of(&self, folder: &str) -> Result<u64, TestbedError> {
        let text = self.place.run("du", Call::new(&["-sb", folder])).await?;
        text.split_whitespace().next().and_then(|bytes| bytes.parse().ok()).ok_or_else(|| TestbedError::Program {
            program: "du".into(),
            message: format!("unexpected output: {text}"),
        })
    }
}

/// `START WAL LOCATION: 0/2000028 (file 000000010000000000000002)`.
fn parse_label(text: &str) -> Result<(String, String), TestbedError> {
    text.lines()
        .find_map(|line| line.strip_prefix("START WAL LOCATION: "))
        .and_then(|rest| rest.split_once(" (file "))
        .map(|(lsn, segment)| (lsn.to_owned(), segment.trim_end_matches(')').to_owned()))
        .ok_or_else(|| TestbedError::Program {
            program: "pg_basebackup".into(),
            message: "its backup_label does not say where the WAL starts".into(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_names_the_start() {
        let text = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: 0/2000060\n";
        let expected = ("0/2000028".to_owned(), "000000010000000000000002".to_owned());
        assert_eq!(parse_label(text).unwrap(), expected);
        assert!(parse_label("LABEL: x\n").is_err());
    }
}
