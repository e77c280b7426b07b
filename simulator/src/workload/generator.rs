//! Decides what is written.

use crate::ledger::{Id, Planned};

/// Decides the writes of one writer. No other writer touches the same records, so that writes to a record never overlap.
pub trait Generator: Send {
    /// The next write.
    fn draw(&mut self) -> Planned;
    /// Records the effect of an acknowledged write; `id`: the key that the store made for the new record.
    fn acknowledged(&mut self, planned: &Planned, id: Option<&Id>);
    /// From now on leaves the records of a write with an unknown result alone.
    fn uncertain(&mut self, planned: &Planned);
}
