//! Reads whole tables and checks each row's content against the write that it says it is from.

use futures::{TryStreamExt, pin_mut};
use tokio_postgres::{Client, Error};

use crate::{
    ledger::{RowKey, RowState, Table},
    measurement::{FinalRow, FinalState},
    workload::{columns, origin},
};

/// Every row of every table, in one snapshot.
pub async fn read_back(client: &mut Client) -> Result<FinalState, Error> {
    let transaction = client
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let mut state = FinalState::new();
    for table in Table::ALL {
        state.extend(read_table(transaction.client(), table, "true").await?);
    }
    transaction.commit().await?;
    Ok(state)
}

/// The rows of a table for which the condition holds.
pub(super) async fn read_table(client: &Client, table: Table, condition: &str) -> Result<FinalState, Error> {
    let parent = table.parent_column();
    let content = match table {
        Table::Customers => "email, full_name, segment",
        Table::Orders => "status, total_cents::text, note",
        Table::OrderItems => "sku, quantity::text, price_cents::text",
    };
    let query = format!(
        "SELECT id, coalesce({parent}, 0), version, write_id, {content} FROM {} WHERE {condition}",
        table.name()
    );
    let rows = client.query_raw(&query, std::iter::empty::<i64>()).await?;
    pin_mut!(rows);
    let mut state = FinalState::new();
    while let Some(row) = rows.try_next().await? {
        let id: i64 = row.get(0);
        let write = u64::try_from(row.get::<_, i64>(3)).unwrap_or(u64::MAX);
        let expected = columns(table, origin(write, id));
        let intact = (4..7).zip(&expected).all(|(column, expected)| row.get::<_, &str>(column) == expected);
        let row_state = RowState { parent: row.get(1), version: row.get(2) };
        state.insert(RowKey { table, id }, FinalRow { write, state: row_state, intact });
    }
    Ok(state)
}
