//! One transaction deletes a range of customers, and their orders and items go with them by cascade; customers whom they had
//! referred lose their referrer. The items of some orders that stay go too.

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
    model::{Collection, Size},
    store::postgres::{read_where, table},
    workload::shop::orders_of,
};

pub(super) const KIND: FaultKind = FaultKind {
    name: "accidental-deletion",
    parameters: &Object { what: "the fault `accidental-deletion`", one_of: &[], fields: &[] },
    systems: &[],
    regions: &[],
    told: &[DAMAGED_TABLE],
    known: &[AFTER_DAMAGE],
    make: |_| Ok(Box::new(AccidentalDeletion)),
};

/// As an application's mistaken clean-up would do.
#[derive(Debug)]
struct AccidentalDeletion;

#[async_trait]
impl Fault for AccidentalDeletion {
    fn deletes_customers(&self) -> bool {
        true
    }

    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        let (first, last) = scene.size.damaged();
        (scene.say)(format!("deleting customers {first} to {last} in one transaction"));
        let closed = scene.habits.accounts_closed(scene.size);
        let emptied = orders_of(scene.size, &closed);
        let mut client = scene.client(scene.door).await?;
        delete(&mut client, scene, &emptied).await.map_err(FaultError::doing("the mistaken deletion"))
    }
}

/// Deletes the customers, and the items of these orders of others.
async fn delete(client: &mut Client, scene: &Scene<'_>, emptied: &[i64]) -> Result<Struck, Error> {
    let transaction = client.transaction().await?;
    let (first, last) = scene.size.damaged();
    let range = format!("BETWEEN {first} AND {last}");
    let orders = format!("IN (SELECT id FROM orders WHERE customer_id {range})");
    let emptied: Vec<String> = emptied.iter().map(ToString::to_string).collect();
    let emptied = format!("ANY ('{{{}}}'::int8[])", emptied.join(","));
    // The rows that it is about to remove, with their content, read in the same transaction.
    let mut removed = FinalState::new();
    for (collection, condition) in [
        (Collection::Customers, format!("id {range}")),
        (Collection::Orders, format!("customer_id {range}")),
        (Collection::OrderItems, format!("order_id {orders} OR order_id = {emptied}")),
    ] {
        removed.extend(read_where(transaction.client(), collection, &condition).await?);
    }
    let unreferenced = format!("id NOT {range} AND referrer_id {range}");
    let changed = read_where(transaction.client(), Collection::Customers, &unreferenced).await?;
    let began = scene.clock.now();
    transaction.execute(&format!("DELETE FROM order_items WHERE order_id = {emptied}"), &[]).await?;
    transaction.execute("DELETE FROM customers WHERE id BETWEEN $1 AND $2", &[&first, &last]).await?;
    let xid: i64 = transaction.query_one("SELECT pg_current_xact_id()::text::bigint", &[]).await?.get(0);
    let mut bite = Vec::new();
    for collection in Collection::ALL {
        const COUNT: &str = "SELECT n_tup_del FROM pg_stat_xact_user_tables WHERE relid = $1::text::regclass";
        let count: i64 = transaction.query_one(COUNT, &[&table(collection)]).await?.get(0);
        bite.push(taken(collection, count, scene.size));
    }
    transaction.commit().await?;
    let ended = scene.clock.now();
    let removed_words: Vec<String> = bite.iter().map(|bite| format!("{} {}", bite.count, bite.what)).collect();
    let story = format!("transaction {xid} removed {}", removed_words.join(", "));
    let struck = Struck::by_mistake(KIND.name, scene, (began, ended), table(Collection::Customers), bite, story);
    Ok(Struck { removed, changed, ..struck })
}

/// Rows that the server counted: the intended number of customers, and the rows of other tables that the cascade deleted.
fn taken(collection: Collection, count: i64, size: &Size) -> Bite {
    let unsigned = |number: i64| u64::try_from(number).unwrap_or_default();
    let wanted = match collection {
        Collection::Customers => Wanted::Exactly(unsigned(size.damaged_customers)),
        Collection::Orders | Collection::OrderItems => Wanted::Some,
    };
    Bite { what: table(collection).to_owned(), count: unsigned(count), wanted }
}
