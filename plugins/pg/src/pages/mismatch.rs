//! Indexes that do not match their tables although each of their pages is as it was written: a write was lost, or an index was made wrong. The
//! extension amcheck finds them.

use lifeboat_plugin::{Connection, Failure, Runtime};

use super::{
    bad_page::BadPage,
    page::Problem,
    relations::{Relation, RelationKind},
};
use crate::{
    server::{
        databases::told,
        index_checks::{self, Depth},
    },
    wal::segment::Lsn,
};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatches {
    /// The indexes, each as its first page.
    pub bad: Vec<BadPage>,
    /// The words of amcheck for each.
    pub words: Vec<String>,
    /// What was not checked, or only in part, and why.
    pub left_out: Vec<String>,
}

/// Holds every index against its table, except where pages of either are known to be damaged.
pub fn mismatches(
    caps: &impl Runtime,
    connection: &impl Connection,
    database: &str,
    relations: &[Relation],
    bad: &[BadPage],
) -> Result<Mismatches, Failure> {
    let extension = index_checks::prepare(connection, database)?;
    let indexes = index_checks::indexes(connection)?;
    let mut found = Mismatches::default();
    let total = u64::try_from(indexes.len()).ok();
    for (done, index) in (0..).zip(&indexes) {
        caps.progress(done, total, "indexes", &index.name);
        if let Some(why) = &index.left_out {
            found.left_out.push(format!("{} {why}", index.name));
        }
        let place = relations.iter().position(|relation| relation.oid == index.oid);
        let Some(place) = place.filter(|place| index.depth != Depth::None && !is_touched(relations, bad, *place))
        else {
            continue;
        };
        if let Err(why) = told(index_checks::check(connection, &extension, index, false))? {
            found.bad.push(BadPage { relation: place, block: 0, problem: Problem::Mismatch, lsn: Lsn(0) });
            found.words.push(format!("{}: {why}", index.name));
        }
    }
    Ok(found)
}

/// Whether pages of the index or of its table are damaged.
fn is_touched(relations: &[Relation], bad: &[BadPage], index: usize) -> bool {
    let table = relations[index].of.as_ref().map(|of| of.table);
    let is_table = |relation: &Relation| relation.kind != RelationKind::Index && Some(relation.oid) == table;
    bad.iter().any(|bad| bad.relation == index || is_table(&relations[bad.relation]))
}
