//! The records that the content probes read.

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::{collection::Collection, size::Size};
use crate::ledger::{Id, Key};

/// A seeded sample of loaded records with their parents: half of the customers among them will be damaged, and for each customer
/// an order and an item are read too, if there are any.
pub fn sample(size: &Size, customers: usize, seed: u64) -> Vec<(Key, Option<Id>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x005a_3b1e);
    let (first, last) = size.damaged();
    let mut records = Vec::new();
    let record = |collection: Collection, id| (collection.key(id), size.parent(collection, id).map(Id::Number));
    for number in 0..customers {
        let damaged = number % 2 == 0 && first <= last;
        let customer = if damaged { rng.random_range(first..=last) } else { rng.random_range(1..=size.customers) };
        records.push(record(Collection::Customers, customer));
        // The first order that was dealt to a customer has the customer's own number, and likewise the first item.
        if customer <= size.orders {
            records.push(record(Collection::Orders, customer));
            if customer <= size.order_items {
                records.push(record(Collection::OrderItems, customer));
            }
        }
    }
    records.sort();
    records.dedup();
    records
}
