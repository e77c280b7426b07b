//! A table is emptied by `TRUNCATE`, and with it every table that refers to it: no row is deleted; the files are replaced.

use async_trait::async_trait;
use lifeboat_core::document::Object;
use tokio_postgres::{Client, Error};

use super::{
    error::FaultError,
    fault::{Bite, Fault, FaultKind, Scene, Struck, Wanted},
    mistake::{AFTER_DAMAGE, DAMAGED_TABLE},
};
use crate::{
    measurement::FinalState,
    model::Collection,
    store::postgres::{read_where, table},
};

pub(super) const KIND: FaultKind = FaultKind {
    name: "table-emptied",
    parameters: &Object { what: "the fault `table-emptied`", one_of: &[], fields: &[] },
    systems: &[],
    regions: &[],
    told: &[DAMAGED_TABLE],
    known: &[AFTER_DAMAGE],
    make: |_| Ok(Box::new(TableEmptied)),
};

/// As a clean-up that was meant for another database does.
#[derive(Debug)]
struct TableEmptied;

#[async_trait]
impl Fault for TableEmptied {
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        (scene.say)("emptying the table of the items of orders".to_owned());
        let mut client = scene.client(scene.door).await?;
        empty(&mut client, scene).await.map_err(FaultError::doing("the mistaken TRUNCATE"))
    }
}

async fn empty(client: &mut Client, scene: &Scene<'_>) -> Result<Struck, Error> {
    let name = table(Collection::OrderItems);
    let transaction = client.transaction().await?;
    // No write comes between the read and the removal.
    transaction.execute(&format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"), &[]).await?;
    let removed: FinalState = read_where(transaction.client(), Collection::OrderItems, "true").await?;
    let began = scene.clock.now();
    transaction.execute(&format!("TRUNCATE {name}"), &[]).await?;
    let sql = "SELECT pg_current_xact_id()::text::bigint, pg_relation_size($1::text::regclass)";
    let row = transaction.query_one(sql, &[&name]).await?;
    let (xid, bytes): (i64, i64) = (row.get(0), row.get(1));
    transaction.commit().await?;
    let ended = scene.clock.now();
    // The remaining file size proves the removal, whatever was counted before.
    let gone = if bytes == 0 { removed.len() as u64 } else { 0 };
    let bite = vec![Bite { what: name.to_owned(), count: gone, wanted: Wanted::Some }];
    let story = format!("transaction {xid} emptied {name} of {gone} rows");
    Ok(Struck { removed, ..Struck::by_mistake(KIND.name, scene, (began, ended), name, bite, story) })
}
