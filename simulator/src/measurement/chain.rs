//! What the ledger allows one row to be, and which of its writes the row shows.
//!
//! Writes to one row never overlap: each row has one writer, which waits for each answer, and which leaves a row alone
//! after an answer that never came. So the writes of a row form a chain, and the final row says how far along it is.

use super::loss::FinalRow;
use crate::ledger::{RowState, WriteId, WriteOutcome};

/// A write to the row. `write` is the place in `History::writes`; `None` stands for the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Link {
    pub(super) write: Option<usize>,
    pub(super) id: WriteId,
    pub(super) acknowledged: bool,
    pub(super) after: Option<RowState>,
}

impl Link {
    /// A link for a write that may have had an effect; `None` for one that had none.
    pub(super) fn of(index: usize, id: WriteId, outcome: WriteOutcome, after: Option<RowState>) -> Option<Self> {
        match outcome {
            WriteOutcome::Failed => None,
            WriteOutcome::Ok => Some(Self { write: Some(index), id, acknowledged: true, after }),
            WriteOutcome::Unknown | WriteOutcome::Pending => {
                Some(Self { write: Some(index), id, acknowledged: false, after })
            }
        }
    }
}

/// How far along its chain the row is: so many links are shown or were overwritten by later ones; the rest is not there.
/// `None`: the row is nothing that the ledger knows.
pub(super) fn shown(links: &[Link], row: Option<&FinalRow>) -> Option<usize> {
    let shows = |count: usize| match (count.checked_sub(1).map(|last| links[last]), row) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some(link), None) => link.after.is_none(),
        (Some(link), Some(row)) => row.intact && row.write == link.id && link.after == Some(row.state),
    };
    (0..=links.len()).rev().find(|count| shows(*count))
}

/// Whether the chain's last acknowledged state is "deleted", with nothing unknown after it.
pub(super) fn is_deleted(links: &[Link]) -> bool {
    links.last().is_some_and(|link| link.acknowledged && link.after.is_none())
}

/// Whether the row should be there by everything that was acknowledged.
pub(super) fn must_exist(links: &[Link]) -> bool {
    let settled = links.iter().rposition(|link| link.acknowledged);
    settled.is_some_and(|last| links[last..].iter().all(|link| link.after.is_some()))
}
