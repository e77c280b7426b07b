//! The states of one record that the ledger allows, and which of its writes the record shows.
//!
//! Writes to one record never overlap: each record has one writer, which waits for each answer and never touches a record again
//! after a missing answer. So the writes of a record form a chain, and the final record says how far along it is.

use super::final_state::FinalRecord;
use crate::ledger::{State, WriteId, WriteOutcome};

/// A write to the record. `write` is the index in `History::writes`; `None` stands for the load.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Link {
    pub(super) write: Option<usize>,
    pub(super) id: WriteId,
    pub(super) acknowledged: bool,
    pub(super) after: Option<State>,
}

impl Link {
    /// A link for a write that may have had an effect; `None` if it had none.
    pub(super) fn of(index: usize, id: WriteId, outcome: WriteOutcome, after: Option<State>) -> Option<Self> {
        match outcome {
            WriteOutcome::Failed => None,
            WriteOutcome::Ok => Some(Self { write: Some(index), id, acknowledged: true, after }),
            WriteOutcome::Unknown | WriteOutcome::Pending => {
                Some(Self { write: Some(index), id, acknowledged: false, after })
            }
        }
    }
}

/// How far along its chain the record is: the number of links that it shows or that later ones overwrote; the rest is missing.
/// `None`: the ledger knows no such state of the record.
pub(super) fn shown(links: &[Link], record: Option<&FinalRecord>) -> Option<usize> {
    let shows = |count: usize| match (count.checked_sub(1).map(|last| &links[last]), record) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some(link), None) => link.after.is_none(),
        (Some(link), Some(record)) => {
            record.intact && record.write == link.id && link.after.as_ref() == Some(&record.state)
        }
    };
    (0..=links.len()).rev().find(|count| shows(*count))
}

/// Whether the chain's last acknowledged state is "deleted", with nothing unknown after it.
pub(super) fn is_deleted(links: &[Link]) -> bool {
    links.last().is_some_and(|link| link.acknowledged && link.after.is_none())
}

/// Whether the record should exist according to all acknowledged writes.
pub(super) fn must_exist(links: &[Link]) -> bool {
    let settled = links.iter().rposition(|link| link.acknowledged);
    settled.is_some_and(|last| links[last..].iter().all(|link| link.after.is_some()))
}
