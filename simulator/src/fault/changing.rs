//! An `UPDATE` whose `WHERE` was forgotten gives every order the same note and the same total. No row is gone; each has wrong values.

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

const DAMAGE: &str = "damage";
/// What the server says that the transaction did to a table.
const COUNT: &str = "SELECT pg_current_xact_id()::text::bigint, n_tup_upd FROM pg_stat_xact_user_tables WHERE relid = $1::text::regclass";

pub(super) const KIND: FaultKind = FaultKind {
    name: "rows-changed",
    parameters: &Object { what: "the fault `rows-changed`", one_of: &[], fields: &[] },
    systems: &[],
    regions: &[],
    told: &[DAMAGED_TABLE, DAMAGE],
    known: &[AFTER_DAMAGE],
    make: |_| Ok(Box::new(RowsChanged)),
};

/// As a correction of one order does that lacks its condition.
#[derive(Debug)]
struct RowsChanged;

#[async_trait]
impl Fault for RowsChanged {
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        (scene.say)("changing the note and the total of every order in one transaction".to_owned());
        let mut client = scene.client(scene.door).await?;
        change(&mut client, scene).await.map_err(FaultError::doing("the mistaken UPDATE"))
    }
}

async fn change(client: &mut Client, scene: &Scene<'_>) -> Result<Struck, Error> {
    let name = table(Collection::Orders);
    let transaction = client.transaction().await?;
    // No write comes between the read and the change.
    transaction.execute(&format!("LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"), &[]).await?;
    let changed: FinalState = read_where(transaction.client(), Collection::Orders, "true").await?;
    let began = scene.clock.now();
    // No order of the application has this note or no total.
    transaction.execute(&format!("UPDATE {name} SET note = 'cancelled, see ticket', total_cents = 0"), &[]).await?;
    let row = transaction.query_one(COUNT, &[&name]).await?;
    let (xid, count): (i64, i64) = (row.get(0), row.get(1));
    transaction.commit().await?;
    let ended = scene.clock.now();
    let (count, wanted) = (u64::try_from(count).unwrap_or_default(), Wanted::Exactly(changed.len() as u64));
    let bite = vec![Bite { what: name.to_owned(), count, wanted }];
    let story = format!("transaction {xid} changed {count} rows of {name}");
    let mut struck = Struck { changed, ..Struck::by_mistake(KIND.name, scene, (began, ended), name, bite, story) };
    struck.told.insert(DAMAGE, "changed".to_owned());
    Ok(struck)
}
