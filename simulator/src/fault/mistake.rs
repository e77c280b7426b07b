//! Mistakes of a person: one transaction in the application's store. A responder knows which table has suffered, and nothing else.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tokio_postgres::Client;

use super::{
    error::FaultError,
    fault::{Bite, Scene, Struck},
};
use crate::{clock::At, store::postgres::connect, testbed::Door};

/// The fact that names the table.
pub(super) const DAMAGED_TABLE: &str = "damaged_table";
/// The fact that names a moment when the damage was done.
pub(super) const AFTER_DAMAGE: &str = "after_damage";
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

impl Scene<'_> {
    /// A session with the application's store, by the route of the application or beside everything that stands between.
    pub(super) async fn client(&self, door: Door) -> Result<Client, FaultError> {
        let login = self.testbed.login(self.store, door).ok_or(FaultError::NoServer)?;
        Ok(connect(&login, CONNECT_WITHIN).await?)
    }
}

impl Struck {
    /// What the transaction did, but for its records.
    pub(super) fn by_mistake(
        kind: &'static str,
        scene: &Scene<'_>,
        (began, ended): (At, At),
        table: &str,
        bite: Vec<Bite>,
        story: String,
    ) -> Self {
        Self {
            told: BTreeMap::from([(DAMAGED_TABLE, format!("public.{table}"))]),
            known: BTreeMap::from([(AFTER_DAMAGE, json!(scene.clock.wall(ended)))]),
            ..Self::without_damage(kind, began, ended, bite, story)
        }
    }
}
