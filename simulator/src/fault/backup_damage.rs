//! The newest base backup is damaged where it is kept: a bit of a file is flipped, a file is gone, or a page with rows is empty and the
//! manifest says that it has to be.
//!
//! The last one is what no check of files sees: the page has been empty since before the manifest was made, as after a disk that lost a
//! write or a tool that skipped a page. Replay would put the page back if the WAL behind the backup had it, so one is taken that was not
//! touched since the backup began.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use lifeboat_core::document::{Object, Shape, required};
use serde::Deserialize;
use tokio_postgres::{Client, Error};

use super::{
    error::FaultError,
    fault::{Bite, DAMAGED, Fault, FaultKind, Scene, Struck, Wanted, parameters},
};
use crate::{
    model::Collection,
    store::postgres::table,
    testbed::{Aside, Door, PageDamage, Shelf},
};

pub(super) const KIND: FaultKind = FaultKind {
    name: "backup-damaged",
    parameters: &Object {
        what: "the fault `backup-damaged`",
        one_of: &[],
        fields: &[
            required("machine", "The machine that keeps the backups.", Shape::Name),
            required(
                "how",
                "What becomes of the newest backup.",
                Shape::Word(&["bit-flip", "file-missing", "page-emptied"]),
            ),
        ],
    },
    systems: &[("machine", &["machine"])],
    regions: &[],
    told: &[DAMAGED],
    known: &[],
    make: |value| Ok(Box::new(BackupDamaged { parameters: parameters(value)?, aside: Mutex::default() })),
};

#[derive(Debug, Deserialize)]
struct Parameters {
    machine: String,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum How {
    BitFlip,
    FileMissing,
    PageEmptied,
}

#[derive(Debug)]
struct BackupDamaged {
    parameters: Parameters,
    /// The backup as it was, until it is brought back.
    aside: Mutex<Option<Aside>>,
}

/// A page of a table that the WAL behind the backup does not have.
struct Untouched {
    file: String,
    page: i64,
    rows: i64,
}

#[async_trait]
impl Fault for BackupDamaged {
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        let Parameters { machine, how } = &self.parameters;
        let no_effect = |seen: &str| FaultError::NoEffect { kind: KIND.name, seen: seen.to_owned() };
        let shelf = self.shelf(scene)?;
        let (backup, begin) = shelf.newest_backup().await?.ok_or_else(|| no_effect("there is no backup"))?;
        (scene.say)(format!("damaging the backup {backup} on {machine}"));
        let relation = table(Collection::OrderItems);
        let found = untouched(&mut scene.client(Door::Observer).await?, relation, &begin).await;
        let found = found.map_err(FaultError::doing("looking for a page of the backup"))?;
        let Untouched { file, page, rows } =
            found.ok_or_else(|| no_effect("every page with rows was written since the backup began"))?;
        if !shelf.fits_manifest(&backup).await {
            return Err(no_effect(&format!(
                "{backup} did not fit its manifest before it, or that could not be looked at"
            )));
        }
        let began = scene.clock.now();
        let aside = shelf.put_aside(&backup).await?;
        self.keep(aside);
        let path = format!("{backup}/{file}");
        match how {
            How::BitFlip => shelf.damage_page(&path, page.cast_unsigned(), PageDamage::BitFlip).await?,
            How::FileMissing => shelf.remove(&path).await?,
            How::PageEmptied => {
                shelf.damage_page(&path, page.cast_unsigned(), PageDamage::Zeroed).await?;
                shelf.renew_manifest(&backup, &file).await?;
            }
        }
        let ended = scene.clock.now();
        let fits = shelf.fits_manifest(&backup).await;
        let (what, holds, damaged) = match how {
            How::BitFlip => (format!("file ({file}) of the backup {backup} with flipped bits"), !fits, file.clone()),
            How::FileMissing => (format!("file ({file}) missing in the backup {backup}"), !fits, file.clone()),
            How::PageEmptied => (
                format!(
                    "empty page of {relation} in the backup {backup} ({file}, page {page}, {rows} rows), which fits its manifest"
                ),
                fits,
                format!("public.{relation}"),
            ),
        };
        let bite = Bite { what, count: u64::from(holds), wanted: Wanted::Exactly(1) };
        let story = bite.to_string();
        let told = BTreeMap::from([(DAMAGED, damaged)]);
        Ok(Struck { told, ..Struck::without_damage(KIND.name, began, ended, vec![bite], story) })
    }

    /// The backup is put back as it was.
    async fn heal(&self, scene: &Scene<'_>) -> Result<(), FaultError> {
        let aside = self.taken();
        if let Some(aside) = aside {
            self.shelf(scene)?.bring_back(&aside).await?;
        }
        Ok(())
    }
}

impl BackupDamaged {
    fn shelf(&self, scene: &Scene<'_>) -> Result<Shelf, FaultError> {
        scene.testbed.backups(&self.parameters.machine).ok_or(FaultError::NoServer)
    }

    fn keep(&self, aside: Aside) {
        *self.aside.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(aside);
    }

    fn taken(&self) -> Option<Aside> {
        self.aside.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

/// The last page with rows that was not written since a position of the WAL.
async fn untouched(client: &mut Client, relation: &str, since: &str) -> Result<Option<Untouched>, Error> {
    const LOOK: &str = "SELECT pg_relation_filepath($1::text::regclass) AS file, p.page,
               (SELECT count(*) FROM heap_page_items(get_raw_page($1, p.page::int)) WHERE lp_flags = 1) AS rows
          FROM generate_series(0, pg_relation_size($1::text::regclass) / 8192 - 1) AS p(page),
               page_header(get_raw_page($1, p.page::int)) AS h
         WHERE h.lsn < $2::text::pg_lsn AND h.lower > 24 ORDER BY p.page DESC LIMIT 1";
    let transaction = client.transaction().await?;
    // Rolled back, so that nothing of it stays.
    transaction.batch_execute("CREATE EXTENSION pageinspect").await?;
    let found = transaction.query_opt(LOOK, &[&relation, &since]).await?;
    transaction.rollback().await?;
    let found = found.map(|row| Untouched { file: row.get(0), page: row.get(1), rows: row.get(2) });
    Ok(found.filter(|found| found.rows > 0))
}
