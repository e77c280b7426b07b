//! Pages of a table, or of its primary key's index, are damaged on disk: those with the customers that `damaged_customers` of the size
//! names.
//!
//! A server that has a good copy of a page in its memory would serve it, and write it back over the damage. So the server is stopped
//! in good order, its files are damaged, and it is started again: what a host sees that lost power and has a bad disk. That the server
//! does not serve the pages any more is read from the server itself.

use std::collections::BTreeMap;

use async_trait::async_trait;
use lifeboat_core::document::{Object, Shape, required};
use serde::Deserialize;
use serde_json::json;
use tokio_postgres::{Client, Error};

use super::{
    error::FaultError,
    fault::{Bite, Fault, FaultKind, Scene, Struck, Wanted, parameters},
};
use crate::{
    measurement::FinalState,
    model::{Collection, Size},
    store::postgres::{read_where, table},
    testbed::{Door, PageDamage},
};

const DAMAGED_PAGES: &str = "damaged_pages";

pub(super) const KIND: FaultKind = FaultKind {
    name: "page-damaged",
    parameters: &Object {
        what: "the fault `page-damaged`",
        one_of: &[],
        fields: &[
            required(
                "part",
                "Pages of the table of customers (`heap`), or of the index of its primary key (`index`).",
                Shape::Word(&["heap", "index"]),
            ),
            required("how", "What becomes of each page.", Shape::Word(&["bit-flip", "header", "zeroed"])),
        ],
    },
    systems: &[],
    regions: &[],
    told: &[],
    known: &[DAMAGED_PAGES],
    make: |value| Ok(Box::new(parameters::<PagesDamaged>(value)?)),
};

#[derive(Debug, Clone, Copy, Deserialize)]
struct PagesDamaged {
    part: Part,
    how: PageDamage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Heap,
    Index,
}

impl Part {
    fn relation(self) -> &'static str {
        match self {
            Self::Heap => table(Collection::Customers),
            Self::Index => "customers_pkey",
        }
    }

    /// The pages that have the rows `$1` to `$2`, or the entries for them. Functions of `pageinspect` are needed for an index.
    fn pages(self) -> &'static str {
        match self {
            Self::Heap => {
                "SELECT DISTINCT (ctid::text::point)[0]::bigint AS page FROM customers WHERE id BETWEEN $1 AND $2 ORDER BY 1"
            }
            Self::Index => {
                "SELECT DISTINCT leaf.page AS page
                   FROM generate_series(1, pg_relation_size('customers_pkey') / 8192 - 1) AS leaf(page),
                        bt_page_stats('customers_pkey', leaf.page) AS stats,
                        bt_page_items('customers_pkey', leaf.page) AS item
                  WHERE stats.type = 'l'
                    AND item.htid IN (SELECT ctid FROM customers WHERE id BETWEEN $1 AND $2) ORDER BY 1"
            }
        }
    }
}

/// What is about to be damaged.
struct Target {
    file: String,
    pages: Vec<i64>,
    rows: FinalState,
}

#[async_trait]
impl Fault for PagesDamaged {
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        let relation = self.part.relation();
        (scene.say)(format!("damaging pages of {relation}, with its server stopped"));
        let server = scene.testbed.server(scene.store).ok_or(FaultError::NoServer)?;
        let target = self.target(&mut scene.client(Door::Observer).await?, scene.size).await;
        let target = target.map_err(FaultError::doing("looking for the pages"))?;
        let began = scene.clock.now();
        server.stop().await?;
        for page in &target.pages {
            server.damage_page(&target.file, page.cast_unsigned(), self.how).await?;
        }
        server.start().await?;
        let ended = scene.clock.now();
        let unusable = unusable(&mut scene.client(Door::Observer).await?, relation, &target.pages).await;
        let unusable = unusable.map_err(FaultError::doing("reading the damaged pages"))?;
        let Target { file, pages, rows } = target;
        let bite = Bite {
            what: format!("unusable pages of {relation}"),
            count: unusable,
            wanted: Wanted::Exactly(pages.len() as u64),
        };
        let story = format!(
            "{} of {} pages of {relation} ({file}) are damaged, with {} {}; the server was restarted, so that it has no good copy of \
             them in its memory",
            bite.count,
            pages.len(),
            rows.len(),
            if self.part == Part::Heap { "rows" } else { "entries of rows" }
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
            known: BTreeMap::from([(DAMAGED_PAGES, json!({ "file": file, "pages": pages }))]),
        })
    }
}

impl PagesDamaged {
    async fn target(&self, client: &mut Client, size: &Size) -> Result<Target, Error> {
        if self.part == Part::Heap {
            // As autovacuum does in time: the last version of each page is younger than the base backup.
            client.batch_execute("VACUUM (FREEZE, INDEX_CLEANUP OFF) customers").await?;
        }
        let (first, last) = size.damaged();
        let transaction = client.transaction().await?;
        // Rolled back, so that nothing of it stays. An index may be damaged already.
        transaction.batch_execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off").await?;
        transaction.batch_execute("CREATE EXTENSION pageinspect").await?;
        let pages = transaction.query(self.part.pages(), &[&first, &last]).await?;
        let file =
            transaction.query_one("SELECT pg_relation_filepath($1::text::regclass)", &[&self.part.relation()]).await?;
        let condition = format!("id BETWEEN {first} AND {last}");
        let rows = read_where(transaction.client(), Collection::Customers, &condition).await?;
        transaction.rollback().await?;
        Ok(Target { file: file.get(0), pages: pages.iter().map(|row| row.get(0)).collect(), rows })
    }
}

/// How many of the pages the server does not serve as they were: it refuses to read them, or takes them for empty.
async fn unusable(client: &mut Client, relation: &str, pages: &[i64]) -> Result<u64, Error> {
    const READ: &str = "SELECT get_raw_page($1, 'main', $2) = decode(repeat('00', 8192), 'hex')";
    let mut transaction = client.transaction().await?;
    transaction.batch_execute("CREATE EXTENSION pageinspect").await?;
    let read = transaction.prepare(READ).await?;
    let mut unusable = 0;
    for page in pages {
        let attempt = transaction.transaction().await?;
        let is_empty = match attempt.query_one(&read, &[&relation, page]).await {
            Ok(row) => row.get(0),
            Err(error) if error.as_db_error().is_some_and(|error| error.code().code().starts_with("XX00")) => true,
            Err(error) => return Err(error),
        };
        attempt.rollback().await?;
        unusable += u64::from(is_empty);
    }
    transaction.rollback().await?;
    Ok(unusable)
}
