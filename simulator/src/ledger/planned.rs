//! A write that is decided but not sent yet.

use super::record::{Change, Id, Name, Operation};

/// A write.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What kind.
    pub operation: Operation,
    /// The collection of the record that it names.
    pub collection: Name,
    /// That record; `None` if the store makes the key.
    pub id: Option<Id>,
    /// The parent of the record.
    pub parent: Option<Id>,
    /// What it does, record by record.
    pub changes: Vec<Change>,
}
