//! What an application that is unaware of the damage does before the recovery: it makes records again under deleted keys, and
//! intentionally removes records on which deleted ones depended.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::writes::planned;
use crate::{
    clock::Clock,
    ledger::{Ledger, LedgerError, Operation, Planned},
    model::{Collection, Size, parent_of_item, parent_of_order, referrer},
    store::Client,
    workload::driver::write_once,
};

/// The writer number of these habits in the ledger; the writers count from 0.
const WRITER: u32 = u32::MAX - 1;

/// How often the application does so. No writer touches the customers concerned or their records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Habits {
    /// Deleted customers who are made again under the same key, with other content.
    pub made_again: i64,
    /// Customers who are not deleted, lose only the items of their orders, and are then removed at their own request.
    pub accounts_closed: i64,
    /// The first customers, whose records are archived: they are read, and never written again.
    #[serde(default)]
    pub archived: i64,
}

/// The result of the habits: the acknowledged writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoneOn {
    /// Keys of customers who exist again, each with the write that made it.
    pub made_again: Vec<(i64, u64)>,
    /// Keys of customers whose accounts were closed.
    pub closed: Vec<i64>,
}

impl GoneOn {
    /// Adds what was done later.
    pub fn extend(&mut self, later: Self) {
        self.made_again.extend(later.made_again);
        self.closed.extend(later.closed);
    }

    /// The number of writes.
    pub fn writes(&self) -> u64 {
        (self.made_again.len() + self.closed.len()) as u64
    }
}

impl Habits {
    /// Deleted customers who will be made again: spread over the deletion, and not its first, whose order is the marker.
    pub fn made_again(&self, size: &Size) -> Vec<i64> {
        let (first, _) = size.damaged();
        let between = size.damaged_customers / self.made_again.max(1);
        (0..self.made_again).map(|number| first + between / 2 + number * between).collect()
    }

    /// Customers before the deleted ones who have an order with an item and are no customer's referrer.
    pub fn accounts_closed(&self, size: &Size) -> Vec<i64> {
        let referrers: BTreeSet<i64> = (1..=size.customers).filter_map(|id| referrer(size, id)).collect();
        let (first, _) = size.damaged();
        let usable = |id: &i64| !referrers.contains(id) && *id <= size.orders && *id <= size.order_items;
        let wanted = usize::try_from(self.accounts_closed).unwrap_or_default();
        (1..first).rev().filter(usable).take(wanted).collect()
    }

    /// The customers whom no writer may touch. They include the remaining customers who lose their referrer: if the deletion and then a
    /// writer changed a record, its correct state is ambiguous, and the drill could end in two ways.
    pub(super) fn reserved(&self, size: &Size) -> BTreeSet<i64> {
        let (first, last) = size.damaged();
        let is_damaged = |id: i64| (first..=last).contains(&id);
        let unreferenced =
            (1..=size.customers).filter(|id| !is_damaged(*id) && referrer(size, *id).is_some_and(is_damaged));
        let archived = 1..=self.archived;
        self.made_again(size)
            .into_iter()
            .chain(self.accounts_closed(size))
            .chain(unreferenced)
            .chain(archived)
            .collect()
    }
}

/// The loaded orders of some customers.
pub fn orders_of(size: &Size, customers: &[i64]) -> Vec<i64> {
    (1..=size.orders).filter(|order| customers.contains(&parent_of_order(size, *order))).collect()
}

/// Performs the habits write by write, through the ledger. The result does not include a write that the store refuses or never
/// answers.
///
/// # Errors
/// If the ledger cannot be written.
pub async fn go_on(
    client: &mut dyn Client,
    habits: &Habits,
    size: &Size,
    ledger: &Ledger,
    clock: &Clock,
) -> Result<GoneOn, LedgerError> {
    let mut gone_on = GoneOn::default();
    for customer in habits.made_again(size) {
        let written = write_once(client, ledger, clock, WRITER, &made_again(customer)).await?;
        gone_on.made_again.extend(written.map(|written| (customer, written.write)));
    }
    for customer in habits.accounts_closed(size) {
        let written = write_once(client, ledger, clock, WRITER, &closed(size, customer)).await?;
        gone_on.closed.extend(written.map(|_| customer));
    }
    Ok(gone_on)
}

fn made_again(customer: i64) -> Planned {
    let changes = vec![Collection::Customers.becomes(Some(customer), 1, None)];
    planned(Operation::Insert, Collection::Customers, Some(customer), None, changes)
}

/// With the orders and the items that were loaded for them: no writer has made others.
fn closed(size: &Size, customer: i64) -> Planned {
    let orders = orders_of(size, &[customer]);
    let items = (1..=size.order_items).filter(|item| orders.contains(&parent_of_item(size, *item)));
    let items: Vec<_> = items.map(|item| Collection::OrderItems.gone(item)).collect();
    let mut changes = vec![Collection::Customers.gone(customer)];
    changes.extend(orders.into_iter().map(|order| Collection::Orders.gone(order)));
    changes.extend(items);
    planned(Operation::Delete, Collection::Customers, Some(customer), None, changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { customers: 4000, orders: 6000, order_items: 9000, damaged_customers: 1200 };

    #[test]
    fn the_customers_are_those_that_the_habits_need() {
        let habits = Habits { made_again: 10, accounts_closed: 5, archived: 0 };
        let (first, last) = SIZE.damaged();
        let made_again = habits.made_again(&SIZE);
        assert_eq!(made_again.iter().collect::<BTreeSet<_>>().len(), 10);
        assert!(made_again.iter().all(|id| (first + 1..=last).contains(id)), "{made_again:?}");
        let closed = habits.accounts_closed(&SIZE);
        assert_eq!(closed.iter().collect::<BTreeSet<_>>().len(), 5);
        assert!(closed.iter().all(|id| *id < first), "{closed:?}");
        assert!((1..=SIZE.customers).filter_map(|id| referrer(&SIZE, id)).all(|referrer| !closed.contains(&referrer)));
    }

    #[test]
    fn whoever_closes_an_account_takes_all_that_was_loaded_for_it() {
        let changes = closed(&SIZE, 7).changes;
        let of = |collection: Collection| {
            let of_it = changes.iter().filter(|change| change.collection == collection.name());
            of_it.filter_map(|change| change.id.as_ref()?.number()).collect::<Vec<_>>()
        };
        assert_eq!(of(Collection::Customers), [7]);
        assert_eq!(of(Collection::Orders), [7, 4007]);
        assert_eq!(of(Collection::OrderItems), [7, 4007, 6007]);
        assert!(changes.iter().all(|change| change.after.is_none()));
    }
}
