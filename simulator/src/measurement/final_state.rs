//! What the full read after the recovery found.

use std::collections::HashMap;

use crate::ledger::{Key, State, WriteId};

/// A record as the full read after the drill found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalRecord {
    /// The write that it names as its origin.
    pub write: WriteId,
    /// Version and parent.
    pub state: State,
    /// Whether its content is what that write put there.
    pub intact: bool,
}

/// Every record that the full read found.
pub type FinalState = HashMap<Key, FinalRecord>;
