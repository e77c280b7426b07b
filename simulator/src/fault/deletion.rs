//! DR-003: one transaction deletes a range of customers, and their orders and items go with them by cascade.

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
}

impl Deletion {
    /// The keys of the rows.
    pub fn keys(&self) -> BTreeSet<RowKey> {
        self.rows.keys().copied().collect()
    }

    /// Rows it removed in all.
    pub fn total(&self) -> i64 {
        self.removed.values().sum()
    }
}

/// Deletes the customers from `first` to `last` in one transaction, as an application's mistaken clean-up would.
pub async fn delete_customers(client: &mut Client, first: i64, last: i64, clock: &Clock) -> Result<Deletion, Error> {
    let transaction = client.transaction().await?;
    let mut rows = FinalState::new();
    let range = format!("BETWEEN {first} AND {last}");
    let orders = format!("IN (SELECT id FROM orders WHERE customer_id {range})");
    for (table, condition) in [
        (Table::Customers, format!("id {range}")),
        (Table::Orders, format!("customer_id {range}")),
        (Table::OrderItems, format!("order_id {orders}")),
    ] {
        rows.extend(read_table(transaction.client(), table, &condition).await?);
    }
    let began = clock.now();
    transaction.execute("DELETE FROM customers WHERE id BETWEEN $1 AND $2", &[&first, &last]).await?;
    let xid = transaction.query_one("SELECT pg_current_xact_id()::text::bigint", &[]).await?.get(0);
    let mut removed = BTreeMap::new();
    for table in Table::ALL {
        const COUNT: &str = "SELECT n_tup_del FROM pg_stat_xact_user_tables WHERE relid = $1::text::regclass";
        let count: i64 = transaction.query_one(COUNT, &[&table.name()]).await?.get(0);
        removed.insert(table, count);
    }
    transaction.commit().await?;
    Ok(Deletion { began, committed: clock.now(), xid, removed, rows })
}
