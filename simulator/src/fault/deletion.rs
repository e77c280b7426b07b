//! DR-003: one transaction deletes a range of customers, and their orders and items go with them by cascade; customers whom they
//! had referred lose their referrer. The items of some orders that stay go too.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Error};

use super::read_back::read_table;
use crate::{
    clock::{At, Clock},
    ledger::{RowKey, Table},
    measurement::FinalState,
};

/// What the deletion did.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// `T_c`: when the `DELETE` was sent.
    pub began: At,
    /// When its commit was acknowledged.
    pub committed: At,
    /// Its transaction id.
    pub xid: i64,
    /// Rows it removed by table, cascades included, as the server counted them.
    pub removed: BTreeMap<Table, i64>,
    /// The rows that it was about to remove, with their content, read in the same transaction just before.
    pub rows: FinalState,
    /// Likewise the rows that stay and lose a reference.
    pub changed: FinalState,
}

/// What the transaction deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The customers from the first to the last.
    pub customers: (i64, i64),
    /// Orders of other customers that lose their items.
    pub emptied_orders: Vec<i64>,
}

impl Deletion {
    /// The keys of the rows that it removed or changed.
    pub fn keys(&self) -> BTreeSet<RowKey> {
        self.rows.keys().chain(self.changed.keys()).copied().collect()
    }

    /// Rows it removed in all.
    pub fn total(&self) -> i64 {
        self.removed.values().sum()
    }
}

/// Deletes in one transaction, as an application's mistaken clean-up would.
pub async fn delete_customers(client: &mut Client, mistake: &Mistake, clock: &Clock) -> Result<Deletion, Error> {
    let transaction = client.transaction().await?;
    let mut rows = FinalState::new();
    let (first, last) = mistake.customers;
    let range = format!("BETWEEN {first} AND {last}");
    let orders = format!("IN (SELECT id FROM orders WHERE customer_id {range})");
    let emptied: Vec<String> = mistake.emptied_orders.iter().map(ToString::to_string).collect();
    let emptied = format!("ANY ('{{{}}}'::int8[])", emptied.join(","));
    for (table, condition) in [
        (Table::Customers, format!("id {range}")),
        (Table::Orders, format!("customer_id {range}")),
        (Table::OrderItems, format!("order_id {orders} OR order_id = {emptied}")),
    ] {
        rows.extend(read_table(transaction.client(), table, &condition).await?);
    }
    let unreferenced = format!("id NOT {range} AND referrer_id {range}");
    let changed = read_table(transaction.client(), Table::Customers, &unreferenced).await?;
    let began = clock.now();
    transaction.execute(&format!("DELETE FROM order_items WHERE order_id = {emptied}"), &[]).await?;
    transaction.execute("DELETE FROM customers WHERE id BETWEEN $1 AND $2", &[&first, &last]).await?;
    let xid = transaction.query_one("SELECT pg_current_xact_id()::text::bigint", &[]).await?.get(0);
    let mut removed = BTreeMap::new();
    for table in Table::ALL {
        const COUNT: &str = "SELECT n_tup_del FROM pg_stat_xact_user_tables WHERE relid = $1::text::regclass";
        let count: i64 = transaction.query_one(COUNT, &[&table.name()]).await?.get(0);
        removed.insert(table, count);
    }
    transaction.commit().await?;
    Ok(Deletion { began, committed: clock.now(), xid, removed, rows, changed })
}
