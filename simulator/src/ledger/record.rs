//! The content of a line of `ledger.jsonl`.

use std::{borrow::Cow, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::At;

/// The unique id of a write, counted from 1; 0 stands for the initial load. Each record carries the id of its last write.
pub type WriteId = u64;

/// The name of a collection of records: a table, a bucket, whatever the store calls it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(Cow<'static, str>);

impl Name {
    /// A name that is a constant of the program.
    pub const fn fixed(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of a record in its collection. Stores use different types for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

impl Id {
    /// The number, if the key is one.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }
}

impl From<i64> for Id {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A record in any kind of store: a row, an item, an object, a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Its collection.
    pub collection: Name,
    /// Itself.
    pub id: Id,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.collection, self.id)
    }
}

/// The state of a record after a write: compared, never interpreted. The write's id determines the content, so the ledger does
/// not store it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Counted from 1, one more with each write to the record.
    pub version: u64,
    /// The parent record, if there is one.
    pub parent: Option<Id>,
}

/// What a write does to one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The collection.
    pub collection: Name,
    /// Which record; `None` if the store makes the key of a new record, so that it is unknown before the acknowledgement.
    pub id: Option<Id>,
    /// The record after the write; `None`: it is deleted, itself or with its parent.
    pub after: Option<State>,
}

impl Change {
    /// The record, if its key is known.
    pub fn key(&self) -> Option<Key> {
        Some(Key { collection: self.collection.clone(), id: self.id.clone()? })
    }
}

/// The kind of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A new record.
    Insert,
    /// A new version of a record.
    Update,
    /// A record is deleted, with its children.
    Delete,
}

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The write it is about.
    pub write: WriteId,
    /// When, on the observer's monotonic clock.
    pub at: At,
    /// The same instant for people.
    pub wall: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub kind: EntryKind,
}

/// What a line of the ledger says about its write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum EntryKind {
    /// It is about to be sent.
    Invoked {
        /// Which writer, counted from 0.
        writer: u32,
        /// When it was scheduled: the difference to `at` is the stall.
        scheduled: At,
        /// What kind of write.
        operation: Operation,
        /// What it does, record by record.
        changes: Vec<Change>,
    },
    /// The store acknowledged it.
    Ok {
        /// The key that the store made for the new record.
        id: Option<Id>,
    },
    /// The store refused it, or it found no record: it has no effect.
    Failed {
        /// Why.
        reason: String,
    },
    /// Time-out or lost connection: the result is not known.
    Unknown {
        /// Why.
        reason: String,
    },
}
