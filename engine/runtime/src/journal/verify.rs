//! Checking a journal without its plan: the format and the chain of hashes.

use std::{fs, path::Path};

use jiff::Timestamp;
use lifeboat_core::name::RunId;
use serde::Serialize;

use super::read;
use crate::Error;

/// What a sound journal looks like from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Which run; `None` where nothing was journalled.
    pub run: Option<RunId>,
    /// How many records.
    pub records: u64,
    /// Hash of the last record. The chain cannot show that this one was changed, or that records behind it were cut off: to
    /// rule that out, keep this hash elsewhere.
    pub hash: String,
    /// When the first was decided.
    pub first: Option<Timestamp>,
    /// When the last was decided.
    pub last: Option<Timestamp>,
    /// Bytes behind the last record: a line that was being written when the engine ended.
    pub torn_bytes: u64,
}

/// Checks the chain of a journal, or names the first line that is wrong.
pub fn verify(path: &Path) -> Result<Summary, Error> {
    let bytes = fs::read(path).map_err(Error::unreadable(path))?;
    let contents = read(&bytes).map_err(|damage| Error::Journal { path: path.to_owned(), damage })?;
    Ok(Summary {
        run: contents.run().cloned(),
        records: contents.end.seq,
        hash: contents.end.hash,
        first: contents.records.first().map(|record| record.at),
        last: contents.end.at,
        torn_bytes: contents.torn_bytes,
    })
}
