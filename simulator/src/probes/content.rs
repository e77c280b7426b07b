//! The content probe: do the sampled rows look as the ledger says?

use std::collections::HashMap;

use tokio_postgres::{Client, Error};

use crate::{
    ledger::{Expectation, Ledger, RowKey, RowState, Table},
    workload::{columns, origin},
};

/// A row as the application reads it.
struct Seen {
    write: u64,
    state: RowState,
    content: [String; 3],
}

const SAMPLE: &str = "
    SELECT 0::int8, id, coalesce(referrer_id, 0), version, write_id, email, full_name, segment
    FROM customers WHERE id = ANY($1)
    UNION ALL SELECT 1, id, customer_id, version, write_id, status, total_cents::text, note FROM orders WHERE id = ANY($2)
    UNION ALL SELECT 2, id, order_id, version, write_id, sku, quantity::text, price_cents::text
    FROM order_items WHERE id = ANY($3)";

/// Reads the sampled rows and compares them. `Ok(Some(_))`: what is wrong.
pub(super) async fn check(client: &Client, ledger: &Ledger) -> Result<Option<String>, Error> {
    let before = ledger.settled();
    let seen = read(client, &before).await?;
    let possible = ledger.possible_since(&before);
    let wrong: Vec<String> = before
        .iter()
        .zip(&possible)
        .filter(|((key, _), states)| !states.iter().any(|state| shows(*key, state, seen.get(key))))
        .map(|((key, _), _)| format!("{key} {}", if seen.contains_key(key) { "differs" } else { "is missing" }))
        .collect();
    Ok((!wrong.is_empty()).then(|| {
        let some = wrong.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
        format!("{} of {} sampled rows are not as acknowledged: {some}", wrong.len(), before.len())
    }))
}

async fn read(client: &Client, rows: &[(RowKey, Expectation)]) -> Result<HashMap<RowKey, Seen>, Error> {
    let ids =
        |table: Table| rows.iter().filter(|(key, _)| key.table == table).map(|(key, _)| key.id).collect::<Vec<i64>>();
    let found = client.query(SAMPLE, &[&ids(Table::Customers), &ids(Table::Orders), &ids(Table::OrderItems)]).await?;
    let row = |row: &tokio_postgres::Row| {
        let table = usize::try_from(row.get::<_, i64>(0)).ok().and_then(|place| Table::ALL.get(place).copied())?;
        let state = RowState { parent: row.get(2), version: row.get(3) };
        let write = u64::try_from(row.get::<_, i64>(4)).ok()?;
        Some((RowKey { table, id: row.get(1) }, Seen { write, state, content: [row.get(5), row.get(6), row.get(7)] }))
    };
    Ok(found.iter().filter_map(row).collect())
}

fn shows(key: RowKey, expected: &Expectation, seen: Option<&Seen>) -> bool {
    match (expected.state, seen) {
        (None, None) => true,
        (Some(state), Some(seen)) => {
            let content = columns(key.table, origin(expected.write, key.id));
            seen.write == expected.write && seen.state == state && seen.content == content
        }
        _ => false,
    }
}
