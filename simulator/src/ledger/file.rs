//! `ledger.jsonl`: one entry a line, written unbuffered and read back for the measurement.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use super::record::Entry;

/// The ledger could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Of the file system.
    #[error("the ledger {path} cannot be {what}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// `written` or `read`.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A line that is no entry.
    #[error("line {line} of the ledger {path} is damaged: {source}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

/// The end of the file, for appending.
#[derive(Debug)]
pub(super) struct Appender {
    path: PathBuf,
    file: File,
}

impl Appender {
    /// A new, empty ledger; one that is already there is refused.
    pub(super) fn create(path: &Path) -> Result<Self, LedgerError> {
        let file = OpenOptions::new().append(true).create_new(true).open(path).map_err(|source| LedgerError::File {
            path: path.to_owned(),
            what: "written",
            source,
        })?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Hands one whole line to the operating system before it returns.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), LedgerError> {
        let mut line = serde_json::to_vec(entry).map_err(|error| self.failed(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> LedgerError {
        LedgerError::File { path: self.path.clone(), what: "written", source }
    }
}

/// Reads a whole ledger.
pub fn read(path: &Path) -> Result<Vec<Entry>, LedgerError> {
    let failed = |source| LedgerError::File { path: path.to_owned(), what: "read", source };
    let file = BufReader::new(File::open(path).map_err(failed)?);
    let mut entries = Vec::new();
    for (index, line) in file.lines().enumerate() {
        let line = line.map_err(failed)?;
        let entry = serde_json::from_str(&line).map_err(|source| LedgerError::Line {
            path: path.to_owned(),
            line: index + 1,
            source,
        })?;
        entries.push(entry);
    }
    Ok(entries)
}
