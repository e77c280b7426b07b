//! What one line of `ledger.jsonl` says.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::At;

/// The unique id of a write, counted from 1; 0 stands for the initial load. Each row carries the id of its last write.
pub type WriteId = u64;

/// The application's tables, parents first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// May have a customer as parent: the one who referred them.
    Customers,
    /// Belong to a customer.
    Orders,
    /// Belong to an order.
    OrderItems,
}

impl Table {
    /// Every table, parents first.
    pub const ALL: [Self; 3] = [Self::Customers, Self::Orders, Self::OrderItems];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Orders => "orders",
            Self::OrderItems => "order_items",
        }
    }

    /// The column that names the parent row. That of a customer may be NULL, for which 0 stands here.
    pub fn parent_column(self) -> &'static str {
        match self {
            Self::Customers => "referrer_id",
            Self::Orders => "customer_id",
            Self::OrderItems => "order_id",
        }
    }
}

/// A row, wherever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowKey {
    /// Its table.
    pub table: Table,
    /// Its primary key.
    pub id: i64,
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.table.name(), self.id)
    }
}

/// What a row is after a write. The other columns follow from the write's id, so they need not be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowState {
    /// Counted from 1, one more with each write to the row.
    pub version: i64,
    /// Primary key of the parent row; 0 where the row has none.
    pub parent: i64,
}

/// What a write does to one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowChange {
    /// The table.
    pub table: Table,
    /// The key; the server gives it to an inserted row, so it is not known before the acknowledgement.
    pub id: Option<i64>,
    /// The row afterwards; `None`: it is deleted, itself or by cascade.
    pub after: Option<RowState>,
}

impl RowChange {
    /// The row, where its key is known.
    pub fn key(&self) -> Option<RowKey> {
        self.id.map(|id| RowKey { table: self.table, id })
    }
}

/// The kind of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A new row.
    Insert,
    /// A new version of a row.
    Update,
    /// A row goes, with its children.
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

/// What a line of the ledger says of its write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum EntryKind {
    /// It is about to be sent.
    Invoked {
        /// Which writer, counted from 0.
        writer: u32,
        /// When the schedule wanted it: the difference to `at` is the stall.
        scheduled: At,
        /// What kind of write.
        operation: Operation,
        /// What it does, row by row.
        rows: Vec<RowChange>,
    },
    /// The server acknowledged it.
    Ok {
        /// The key that the server gave to the inserted row.
        id: Option<i64>,
    },
    /// The server refused it, or it found no row: it has no effect.
    Failed {
        /// Why.
        reason: String,
    },
    /// Time-out or lost connection: nobody knows.
    Unknown {
        /// Why.
        reason: String,
    },
}
