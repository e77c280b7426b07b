//! The initial content, loaded by COPY.

use std::{fmt::Write as _, io::Cursor};

use futures::SinkExt;
use tokio_postgres::{Client, Error, Transaction};

use super::{
    columns::{parent, table},
    schema::SCHEMA,
};
use crate::model::{Collection, Origin, Size, content, fields};

/// Makes the tables and loads them in one transaction.
pub(super) async fn load(client: &mut Client, size: &Size) -> Result<(), Error> {
    client.batch_execute(SCHEMA).await?;
    let transaction = client.transaction().await?;
    for collection in Collection::ALL {
        copy(&transaction, collection, size).await?;
        let name = table(collection);
        let sequence = format!("SELECT setval(pg_get_serial_sequence('{name}', 'id'), {})", size.of(collection));
        transaction.execute(&sequence, &[]).await?;
    }
    transaction.commit().await
}

/// Does what autovacuum would do in the first minutes.
pub(super) async fn settle(client: &Client) -> Result<(), Error> {
    for collection in Collection::ALL {
        client.batch_execute(&format!("VACUUM (ANALYZE) {}", table(collection))).await?;
    }
    Ok(())
}

async fn copy(transaction: &Transaction<'_>, collection: Collection, size: &Size) -> Result<(), Error> {
    let (name, parent) = (table(collection), parent(collection));
    let [first, second, third] = fields(collection);
    let statement = format!("COPY {name} (id, {parent}, {first}, {second}, {third}, version, write_id) FROM STDIN");
    let mut sink = Box::pin(transaction.copy_in::<_, Cursor<String>>(&statement).await?);
    let mut chunk = String::new();
    for id in 1..=size.of(collection) {
        let [first, second, third] = content(collection, Origin::Loaded(id));
        let parent = size.parent(collection, id).map_or_else(|| "\\N".to_owned(), |parent| parent.to_string());
        writeln!(chunk, "{id}\t{parent}\t{first}\t{second}\t{third}\t1\t0").unwrap_or_default();
        if chunk.len() > 64 * 1024 {
            sink.feed(Cursor::new(std::mem::take(&mut chunk))).await?;
        }
    }
    sink.feed(Cursor::new(chunk)).await?;
    sink.close().await
}
