//! Who decides what is written.

use crate::ledger::{Id, Planned};

/// Decides the writes of one writer. No other writer touches the same records, so that writes to a record never overlap.
pub trait Generator: Send {
    /// The next write.
    fn draw(&mut self) -> Planned;
    /// Takes over what an acknowledged write did; `id`: the key that the store made for the new record.
    fn acknowledged(&mut self, planned: &Planned, id: Option<&Id>);
    /// Leaves everything alone to which a write belongs whose end nobody knows.
    fn uncertain(&mut self, planned: &Planned);
}
