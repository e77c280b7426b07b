//! The staging tables of a merge, by the table whose rows wait in them.

use std::collections::BTreeMap;

use lifeboat_plugin::{Connection, Failure};

use crate::{
    rows::{merge::Merge, relation},
    server::identifier::TableName,
};

/// Which staging table holds the rows of which table.
#[derive(Debug)]
pub struct Stages(BTreeMap<TableName, String>);

impl Stages {
    /// Of these merges.
    pub fn of(merges: &[Merge<'_>]) -> Self {
        Self(merges.iter().map(|merge| (merge.matched.now.name.clone(), merge.stage())).collect())
    }

    /// Staging tables in which rows of a referenced table wait: its own, or those of its partitions.
    pub fn of_parent(&self, primary: &impl Connection, parent: &TableName) -> Result<Vec<String>, Failure> {
        if let Some(stage) = self.0.get(parent) {
            return Ok(vec![stage.clone()]);
        }
        let leaves = relation::leaves(primary, parent)?;
        Ok(leaves.iter().filter_map(|leaf| self.0.get(leaf).cloned()).collect())
    }
}
