//! Reads rows and checks each one's content against the write that it names as its origin.

use futures::{TryStreamExt, pin_mut};
use tokio_postgres::{Client, Error, IsolationLevel, Row, types::ToSql};

use super::columns::{parent, table};
use crate::{
    ledger::{Id, Key, State},
    measurement::{FinalRecord, FinalState},
    model::{Collection, Origin, content, fields},
};

/// Every row of every table, in one snapshot.
pub(super) async fn read_all(client: &mut Client) -> Result<FinalState, Error> {
    let transaction =
        client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?;
    let mut state = FinalState::new();
    for collection in Collection::ALL {
        state.extend(read_where(transaction.client(), collection, "true").await?);
    }
    transaction.commit().await?;
    Ok(state)
}

/// These rows, in one statement.
pub(super) async fn read_keys(client: &Client, keys: &[Key]) -> Result<FinalState, Error> {
    let ids = Collection::ALL.map(|collection| {
        let of_it = keys.iter().filter(|key| Collection::named(&key.collection) == Some(collection));
        of_it.filter_map(|key| key.id.number()).collect::<Vec<i64>>()
    });
    let selects: Vec<String> = (1..)
        .zip(Collection::ALL)
        .map(|(at, collection)| format!("SELECT {at}::int8, {} WHERE id = ANY(${at})", from(collection)))
        .collect();
    let parameters: Vec<&(dyn ToSql + Sync)> = ids.iter().map(|ids| ids as &(dyn ToSql + Sync)).collect();
    let rows = client.query(&selects.join(" UNION ALL "), &parameters).await?;
    let record = |row: &Row| {
        let place = usize::try_from(row.get::<_, i64>(0)).ok()?.checked_sub(1)?;
        Some(record(*Collection::ALL.get(place)?, row, 1))
    };
    Ok(rows.iter().filter_map(record).collect())
}

/// The rows of a table for which the condition holds.
///
/// # Errors
/// If the server refuses the query.
pub async fn read_where(client: &Client, collection: Collection, condition: &str) -> Result<FinalState, Error> {
    let query = format!("SELECT {} WHERE {condition}", from(collection));
    let rows = client.query_raw(&query, std::iter::empty::<i64>()).await?;
    pin_mut!(rows);
    let mut state = FinalState::new();
    while let Some(row) = rows.try_next().await? {
        let (key, found) = record(collection, &row, 0);
        state.insert(key, found);
    }
    Ok(state)
}

/// The columns of a record, and their table.
fn from(collection: Collection) -> String {
    let [first, second, third] = fields(collection);
    let (parent, table) = (parent(collection), table(collection));
    format!("id, {parent}, version, write_id, {first}::text, {second}::text, {third}::text FROM {table}")
}

/// The record in a row whose first columns are something else.
fn record(collection: Collection, row: &Row, skipped: usize) -> (Key, FinalRecord) {
    let key = collection.key(row.get(skipped));
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(u64::MAX);
    let write = unsigned(row.get(skipped + 3));
    let expected = content(collection, Origin::of(write, &key.id));
    let intact = (skipped + 4..).zip(&expected).all(|(column, expected)| row.get::<_, &str>(column) == expected);
    let state = State {
        parent: row.get::<_, Option<i64>>(skipped + 1).map(Id::Number),
        version: unsigned(row.get(skipped + 2)),
    };
    (key, FinalRecord { write, state, intact })
}
