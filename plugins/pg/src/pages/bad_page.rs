//! A damaged page among those of a database.

use super::page::Problem;
use crate::wal::segment::Lsn;

/// A damaged page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPage {
    /// Its relation's place in the list.
    pub relation: usize,
    /// Its number there.
    pub block: u32,
    /// What is wrong.
    pub problem: Problem,
    /// What its header says of its last change, whatever that is worth.
    pub lsn: Lsn,
}
