//! How engines of other state folders are kept away from a target, on the target itself.

use super::{Machine, Postgres};

/// What an engine that works on a run holds of a target that the run changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hold<'a> {
    /// An advisory lock of this server.
    Server(&'a Postgres),
    /// A locked file in the folder `work` of this machine.
    Work(&'a Machine),
    /// Nothing: it cannot be held, or several runs may use it at once.
    Nothing,
}
