//! The index of the primary key of a table lacks the entries of some rows, and nothing on disk looks damaged: a lost write leaves an index so,
//! or a release that makes it wrong.
//!
//! The entries are marked as dead in the pages, with the server stopped, and the pages get the checksums of what is then in them.
//! Searches by the key do not find the rows; reading the table does.

use std::collections::BTreeMap;

use async_trait::async_trait;
use lifeboat_core::document::Object;
use tokio_postgres::{Client, Error};

use super::{
    error::FaultError,
    fault::{Bite, Fault, FaultKind, Scene, Struck, Wanted},
};
use crate::{
    measurement::FinalState,
    model::Collection,
    store::postgres::{read_where, table},
    testbed::Door,
};

pub(super) const KIND: FaultKind = FaultKind {
    name: "index-incomplete",
    parameters: &Object { what: "the fault `index-incomplete`", one_of: &[], fields: &[] },
    systems: &[],
    regions: &[],
    told: &[],
    known: &[],
    make: |_| Ok(Box::new(IndexIncomplete)),
};

/// Numbers of entries by pages. An entry may stand for several versions of a row.
const ENTRIES: &str = "
    WITH damaged AS (SELECT array_agg(ctid) AS places FROM customers WHERE id BETWEEN $1 AND $2)
    SELECT leaf.page AS page, array_agg(item.itemoffset::bigint) AS entries
      FROM damaged, generate_series(1, pg_relation_size('customers_pkey') / 8192 - 1) AS leaf(page),
           bt_page_stats('customers_pkey', leaf.page) AS stats, bt_page_items('customers_pkey', leaf.page) AS item
     WHERE stats.type = 'l' AND (item.htid = ANY (places) OR item.tids && places)
     GROUP BY leaf.page";

/// As a write of the index does that never reached the disk.
#[derive(Debug)]
struct IndexIncomplete;

#[async_trait]
impl Fault for IndexIncomplete {
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        (scene.say)("removing entries from the index of the primary key, with its server stopped".to_owned());
        let server = scene.testbed.server(scene.store).ok_or(FaultError::NoServer)?;
        let doing = |what: &'static str| FaultError::doing(what);
        let (first, last) = scene.size.damaged();
        let mut client = scene.client(Door::Observer).await?;
        let began = scene.clock.now();
        let transaction = client.transaction().await.map_err(doing("locking the table"))?;
        // Nothing moves until the server stops, which ends this transaction; nothing of it stays.
        transaction
            .batch_execute("LOCK customers IN SHARE MODE; CREATE EXTENSION pageinspect")
            .await
            .map_err(doing("locking the table"))?;
        let found = transaction.query(ENTRIES, &[&first, &last]).await.map_err(doing("looking for the entries"))?;
        let file = transaction.query_one("SELECT pg_relation_filepath('customers_pkey')", &[]).await;
        let file: String = file.map_err(doing("looking for the entries"))?.get(0);
        let condition = format!("id BETWEEN {first} AND {last}");
        let rows = read_where(transaction.client(), Collection::Customers, &condition).await;
        let rows = rows.map_err(doing("reading the rows"))?;
        server.stop().await?;
        for row in &found {
            let (page, entries): (i64, Vec<i64>) = (row.get(0), row.get(1));
            let entries: Vec<usize> = entries.into_iter().filter_map(|entry| usize::try_from(entry).ok()).collect();
            server.kill_entries(&file, page.cast_unsigned(), &entries).await?;
        }
        server.renew_checksums().await?;
        server.start().await?;
        let ended = scene.clock.now();
        let unfound = unfound(&mut scene.client(Door::Observer).await?, first, last)
            .await
            .map_err(doing("searching for the rows"))?;
        let bite = Bite {
            what: format!("rows of {} that their key does not find", table(Collection::Customers)),
            count: unfound,
            wanted: Wanted::Exactly(rows.len() as u64),
        };
        let story = format!(
            "the index customers_pkey lacks {unfound} of {} rows, in {} pages, each with the checksum of what is in it",
            rows.len(),
            found.len()
        );
        Ok(Struck {
            kind: KIND.name,
            began,
            ended,
            removed: rows,
            changed: FinalState::new(),
            bite: vec![bite],
            story,
            intrusion: None,
            told: BTreeMap::new(),
            known: BTreeMap::new(),
        })
    }
}

/// How many rows are in the table, and not found by their key.
async fn unfound(client: &mut Client, first: i64, last: i64) -> Result<u64, Error> {
    const COUNT: &str = "SELECT count(*) FROM customers WHERE id BETWEEN $1 AND $2";
    let mut counts = Vec::new();
    for off in
        ["enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan", "enable_seqscan"]
    {
        let transaction = client.transaction().await?;
        transaction.batch_execute(&format!("SET LOCAL {off} = off")).await?;
        counts.push(transaction.query_one(COUNT, &[&first, &last]).await?.get::<_, i64>(0));
        transaction.rollback().await?;
    }
    Ok((counts[0] - counts[1]).max(0).cast_unsigned())
}
