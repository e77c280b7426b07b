//! Which rows the content probes look at.

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::{
    ledger::{RowKey, Table},
    workload::{Size, parent_of_item, parent_of_order, referrer},
};

/// A seeded sample of loaded rows with their parents: half of the customers among them will be damaged, and of each customer
/// an order and an item are looked at too, where there are any.
pub fn sample(size: &Size, customers: usize, seed: u64) -> Vec<(RowKey, i64)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x005a_3b1e);
    let (first, last) = size.damaged();
    let mut rows = Vec::new();
    for number in 0..customers {
        let damaged = number % 2 == 0 && first <= last;
        let customer = if damaged { rng.random_range(first..=last) } else { rng.random_range(1..=size.customers) };
        rows.push((RowKey { table: Table::Customers, id: customer }, referrer(size, customer)));
        // The first order that was dealt to a customer has the customer's own number, and likewise the first item.
        if customer <= size.orders {
            rows.push((RowKey { table: Table::Orders, id: customer }, parent_of_order(size, customer)));
            if customer <= size.order_items {
                rows.push((RowKey { table: Table::OrderItems, id: customer }, parent_of_item(size, customer)));
            }
        }
    }
    rows.sort();
    rows.dedup();
    rows
}
