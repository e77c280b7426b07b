//! The file of one lease: every taking, giving back and take-over, a JSON record a line, oldest first. Nothing in it is ever
//! changed, so the token of the last record is the highest there was, whatever became of the runs.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{TakeOver, Token};
use crate::{holder::Holder, sync::sync_folder};

/// Something that happened to a lease: a line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub(super) token: Token,
    pub(super) at: Timestamp,
    /// The target; the file's name only resembles it.
    pub(super) resource: String,
    pub(super) what: What,
}

impl Record {
    /// Of which resource the lease is.
    pub fn resource(&self) -> &str {
        &self.resource
    }
}

/// What happened to a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// A run has it from now on.
    Taken(Holder),
    /// The run that had it is over.
    Released,
    /// It was taken from a run that does not work any more.
    TakenOver(TakeOver),
}

/// Everything that happened to a lease, as it was written down.
#[derive(Debug, Default)]
pub struct Records {
    pub(super) all: Vec<Record>,
    /// Lines behind the last readable record: each may have been meant to carry a token of its own.
    unreadable: u64,
    /// Whether the last line has no end.
    torn: bool,
}

impl Records {
    fn of(bytes: &[u8]) -> Self {
        let mut records = Self { torn: bytes.last().is_some_and(|last| *last != b'\n'), ..Self::default() };
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(record) => {
                    records.all.push(record);
                    records.unreadable = 0;
                }
                Err(_) => records.unreadable += 1,
            }
        }
        records
    }

    /// One more, which is kept by now.
    pub fn push(&mut self, record: Record) {
        self.all.push(record);
    }

    pub(super) fn last(&self) -> Option<&Record> {
        self.all.last()
    }

    /// A token that was never given: higher than every readable one, and than what an unreadable line may have carried.
    pub(super) fn next_token(&self) -> Token {
        let highest = self.all.iter().map(|record| record.token.0).max().unwrap_or(0);
        Token(highest + self.unreadable + 1)
    }
}

/// The file, which no other process changes while this one has it. Taking, giving back and taking over last no longer than
/// reading it and syncing a line.
#[derive(Debug)]
pub(super) struct History {
    file: File,
    pub(super) records: Records,
    end: u64,
}

/// A record as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) offset: u64,
    pub(super) line: Vec<u8>,
}

impl History {
    /// Opens the history of a resource, which is made where there is none, and keeps the others out.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        file.lock()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            // Tokens grow only where the file cannot be lost with its name.
            sync_folder(path.parent().unwrap_or(path))?;
        }
        Ok(Self { file, records: Records::of(&bytes), end: bytes.len() as u64 })
    }

    /// Adds a record and returns when it is durable. If that fails, nothing has happened: a reader of a record that was not
    /// synced continues from an unused token.
    pub(super) fn append(&mut self, record: &Record) -> io::Result<Written> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let start: &[u8] = if self.records.torn { b"\n" } else { b"" };
        self.file.write_all(&[start, &line].concat())?;
        self.file.sync_data()?;
        Ok(Written { offset: self.end + start.len() as u64, line })
    }
}

/// What a history says at this moment, without keeping anybody out. A line that is being written is left out.
pub(super) fn read(path: &Path) -> io::Result<Records> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Records::of(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Records::default()),
        Err(error) => Err(error),
    }
}

/// The file of a resource: readable, and different for different resources whatever characters they have.
pub(super) fn path(folder: &Path, resource: &str) -> PathBuf {
    let readable: String = resource.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
    let digest = Sha256::digest(resource.as_bytes());
    folder.join(format!("{readable}-{:02x}{:02x}{:02x}{:02x}.jsonl", digest[0], digest[1], digest[2], digest[3]))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn record(token: u64, what: What) -> Record {
        Record { token: Token(token), at: Timestamp::UNIX_EPOCH, resource: "postgres:1".to_owned(), what }
    }

    #[test]
    fn names_of_files_differ_as_their_resources_do() {
        let folder = Path::new("leases");
        assert_ne!(path(folder, "machine:a/b"), path(folder, "machine:a-b"));
        assert!(path(folder, "machine:/srv/ä").to_str().unwrap().is_ascii());
    }

    #[test]
    fn a_token_is_never_given_twice_whatever_became_of_the_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), "postgres:1");
        History::open(&path).unwrap().append(&record(1, What::Released)).unwrap();
        let before = fs::read(&path).unwrap();
        History::open(&path).unwrap().append(&record(2, What::Released)).unwrap();
        let whole = fs::read(&path).unwrap();
        // A power cut may leave any part of the last line, or rubbish of its length.
        for cut in before.len() + 1..=whole.len() {
            for kept in [whole[..cut].to_vec(), [&whole[..before.len()], &vec![0; cut - before.len()]].concat()] {
                fs::write(&path, &kept).unwrap();
                let mut history = History::open(&path).unwrap();
                let token = history.records.next_token();
                assert_eq!(token, Token(3), "{cut}");
                let written = history.append(&record(token.0, What::Released)).unwrap();
                let bytes = fs::read(&path).unwrap();
                assert_eq!(bytes[written.offset as usize..], written.line);
                assert_eq!(read(&path).unwrap().last().unwrap().token, Token(3));
            }
        }
    }
}
