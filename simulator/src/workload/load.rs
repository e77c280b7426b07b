//! The initial content, loaded by COPY.

use std::{fmt::Write as _, io::Cursor};

use futures::SinkExt;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::{
    content::{Origin, columns, names},
    schema::SCHEMA,
};
use crate::{
    clock::Clock,
    ledger::{Baseline, RowKey, Table},
};

/// One in so many customers was referred by another.
const REFERRED_EACH: i64 = 20;

/// How much is loaded, and how many customers the deletion takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Rows of `customers`.
    pub customers: i64,
    /// Rows of `orders`, dealt out to the customers in turn.
    pub orders: i64,
    /// Rows of `order_items`, dealt out to the orders in turn.
    pub order_items: i64,
    /// Customers that the deletion takes, with all that belongs to them.
    pub damaged_customers: i64,
}

impl Size {
    /// Rows in all.
    pub fn rows(&self) -> i64 {
        self.customers + self.orders + self.order_items
    }

    /// Keys of the customers that will be deleted: from the middle of the table, first and last.
    pub fn damaged(&self) -> (i64, i64) {
        let first = (self.customers - self.damaged_customers) / 2 + 1;
        (first, first + self.damaged_customers - 1)
    }

    fn of(&self, table: Table) -> i64 {
        match table {
            Table::Customers => self.customers,
            Table::Orders => self.orders,
            Table::OrderItems => self.order_items,
        }
    }

    fn parent(&self, table: Table, id: i64) -> i64 {
        match table {
            Table::Customers => referrer(self, id),
            Table::Orders => parent_of_order(self, id),
            Table::OrderItems => parent_of_item(self, id),
        }
    }
}

/// Who referred a loaded customer; 0 for the most, whom nobody did. The prime scatters the referrers over all customers, so that
/// some of those who stay were referred by some who are deleted.
pub fn referrer(size: &Size, customer: i64) -> i64 {
    if customer % REFERRED_EACH == 0 { customer.wrapping_mul(7919).rem_euclid(size.customers) + 1 } else { 0 }
}

/// The customer of a loaded order.
pub fn parent_of_order(size: &Size, order: i64) -> i64 {
    (order - 1) % size.customers + 1
}

/// The order of a loaded item.
pub fn parent_of_item(size: &Size, item: i64) -> i64 {
    (item - 1) % size.orders + 1
}

/// Makes the tables and loads them. The answer says when the load was acknowledged.
pub async fn load(client: &mut Client, size: &Size, clock: &Clock) -> Result<Baseline, tokio_postgres::Error> {
    client.batch_execute(SCHEMA).await?;
    let transaction = client.transaction().await?;
    for table in Table::ALL {
        copy(&transaction, table, size).await?;
        let name = table.name();
        let sequence = format!("SELECT setval(pg_get_serial_sequence('{name}', 'id'), {})", size.of(table));
        transaction.execute(&sequence, &[]).await?;
    }
    transaction.commit().await?;
    let acknowledged = clock.now();
    client.batch_execute("VACUUM (ANALYZE) customers").await?;
    client.batch_execute("VACUUM (ANALYZE) orders").await?;
    client.batch_execute("VACUUM (ANALYZE) order_items").await?;
    Ok(Baseline { acknowledged, ..baseline(size) })
}

/// What a load of that size holds.
pub fn baseline(size: &Size) -> Baseline {
    let rows = Table::ALL
        .into_iter()
        .flat_map(|table| (1..=size.of(table)).map(move |id| (RowKey { table, id }, size.parent(table, id))));
    Baseline { rows: rows.collect(), ..Baseline::default() }
}

async fn copy(
    transaction: &tokio_postgres::Transaction<'_>,
    table: Table,
    size: &Size,
) -> Result<(), tokio_postgres::Error> {
    let parent = table.parent_column();
    let [(first, _), (second, _), (third, _)] = names(table);
    let statement =
        format!("COPY {} (id, {parent}, {first}, {second}, {third}, version, write_id) FROM STDIN", table.name());
    let mut sink = Box::pin(transaction.copy_in::<_, Cursor<String>>(&statement).await?);
    let mut chunk = String::new();
    for id in 1..=size.of(table) {
        let [first, second, third] = columns(table, Origin::Loaded(id));
        let parent = size.parent(table, id);
        let parent = if parent == 0 { "\\N".to_owned() } else { parent.to_string() };
        writeln!(chunk, "{id}\t{parent}\t{first}\t{second}\t{third}\t1\t0").unwrap_or_default();
        if chunk.len() > 64 * 1024 {
            sink.feed(Cursor::new(std::mem::take(&mut chunk))).await?;
        }
    }
    sink.feed(Cursor::new(chunk)).await?;
    sink.close().await
}
