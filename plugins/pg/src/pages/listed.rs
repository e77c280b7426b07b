//! A damaged page as one step hands it to the next.

use serde::{Deserialize, Serialize};

use super::{
    bad_page::BadPage,
    relations::{Relation, RelationKind},
};
use crate::wal::segment::Lsn;

/// A damaged page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedPage {
    /// Its relation.
    pub relation: String,
    /// What the relation is.
    pub kind: String,
    /// The relation's first file.
    pub file: String,
    /// Its number there.
    pub block: u32,
    /// What is wrong.
    pub problem: String,
    /// What its header says of its last change.
    pub lsn: Lsn,
}

impl ListedPage {
    /// The type of a list of them.
    pub const LIST: &str =
        "list<record{relation: string, kind: string, file: string, block: int, problem: string, lsn: string}>";

    /// Whether it had what is nowhere else on its server.
    pub fn has_rows(&self) -> bool {
        [RelationKind::Heap, RelationKind::Sequence].iter().any(|kind| kind.name() == self.kind)
    }

    /// A page of that relation.
    pub fn of(relation: &Relation, bad: &BadPage) -> Self {
        Self {
            relation: relation.name.clone(),
            kind: relation.kind.name().to_owned(),
            file: relation.file.clone(),
            block: bad.block,
            problem: bad.problem.name().to_owned(),
            lsn: bad.lsn,
        }
    }
}
