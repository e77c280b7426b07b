//! A write that is decided and not sent yet, and who decides it.

use crate::ledger::{Change, Id, Name, Operation};

/// A write.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What kind.
    pub operation: Operation,
    /// The collection of the record that it names.
    pub collection: Name,
    /// That record; `None` where the store makes the key.
    pub id: Option<Id>,
    /// What the record belongs to.
    pub parent: Option<Id>,
    /// What it does, record by record.
    pub changes: Vec<Change>,
}

/// Decides the writes of one writer. No other writer touches the same records, so that writes to a record never overlap.
pub trait Generator: Send {
    /// The next write.
    fn draw(&mut self) -> Planned;
    /// Takes over what an acknowledged write did; `id`: the key that the store made for the new record.
    fn acknowledged(&mut self, planned: &Planned, id: Option<&Id>);
    /// Leaves everything alone to which a write belongs whose end nobody knows.
    fn uncertain(&mut self, planned: &Planned);
}
