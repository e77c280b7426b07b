//! Writes of the shop.

use crate::{
    ledger::{Change, Id, Operation, Planned},
    model::Collection,
};

/// A new record, whose key the store makes.
pub(super) fn inserted(collection: Collection, parent: Option<i64>) -> Planned {
    planned(Operation::Insert, collection, None, parent, vec![collection.becomes(None, 1, parent)])
}

pub(super) fn planned(
    operation: Operation,
    collection: Collection,
    id: Option<i64>,
    parent: Option<i64>,
    changes: Vec<Change>,
) -> Planned {
    let (id, parent) = (id.map(Id::Number), parent.map(Id::Number));
    Planned { operation, collection: collection.name(), id, parent, changes }
}
