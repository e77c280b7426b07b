//! How much data is loaded, and the parents of the records.

use serde::{Deserialize, Serialize};

use super::collection::Collection;
use crate::ledger::{Baseline, Id};

/// One customer in this many was referred by another.
const REFERRED_EACH: i64 = 20;

/// How much data is loaded, and how many customers the fault deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Customers.
    pub customers: i64,
    /// Orders, dealt out to the customers in turn.
    pub orders: i64,
    /// Items, dealt out to the orders in turn.
    pub order_items: i64,
    /// Customers that a deleting fault deletes, with everything that belongs to them.
    #[serde(default)]
    pub damaged_customers: i64,
}

impl Size {
    /// Records in all.
    pub fn rows(&self) -> i64 {
        self.customers + self.orders + self.order_items
    }

    /// Keys of the customers that will be deleted: the first and the last, from the middle of all.
    pub fn damaged(&self) -> (i64, i64) {
        let first = (self.customers - self.damaged_customers) / 2 + 1;
        (first, first + self.damaged_customers - 1)
    }

    /// Records of a collection.
    pub fn of(&self, collection: Collection) -> i64 {
        match collection {
            Collection::Customers => self.customers,
            Collection::Orders => self.orders,
            Collection::OrderItems => self.order_items,
        }
    }

    /// The parent of a loaded record.
    pub fn parent(&self, collection: Collection, id: i64) -> Option<i64> {
        match collection {
            Collection::Customers => referrer(self, id),
            Collection::Orders => Some(parent_of_order(self, id)),
            Collection::OrderItems => Some(parent_of_item(self, id)),
        }
    }

    /// The customer to whom a loaded record belongs in the end.
    pub fn root(&self, collection: Collection, id: i64) -> i64 {
        match collection {
            Collection::Customers => id,
            Collection::Orders => parent_of_order(self, id),
            Collection::OrderItems => parent_of_order(self, parent_of_item(self, id)),
        }
    }
}

/// Who referred a loaded customer; most have no referrer. The prime scatters the referrers over all customers, so that some of
/// those who stay were referred by some who are deleted.
pub(crate) fn referrer(size: &Size, customer: i64) -> Option<i64> {
    (customer % REFERRED_EACH == 0).then(|| customer.wrapping_mul(7919).rem_euclid(size.customers) + 1)
}

/// The customer of a loaded order.
pub(crate) fn parent_of_order(size: &Size, order: i64) -> i64 {
    (order - 1) % size.customers + 1
}

/// The order of a loaded item.
pub(crate) fn parent_of_item(size: &Size, item: i64) -> i64 {
    (item - 1) % size.orders + 1
}

/// What a load of that size holds.
pub fn baseline(size: &Size) -> Baseline {
    let record = |collection: Collection, id| (collection.key(id), size.parent(collection, id).map(Id::Number));
    let records = Collection::ALL.into_iter().flat_map(|collection| {
        let record = &record;
        (1..=size.of(collection)).map(move |id| record(collection, id))
    });
    Baseline { records: records.collect(), ..Baseline::default() }
}
