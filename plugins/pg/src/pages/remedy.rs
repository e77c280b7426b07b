//! What damaged pages call for.

use super::{
    bad_page::BadPage,
    page::Problem,
    relations::{Relation, RelationKind},
};

/// Pages with rows of which each is replaced by itself; of more, nobody does.
pub const REPAIRED_MAX: usize = 1_000;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing is damaged.
    None,
    /// Visibility maps alone are: they are made again from their tables.
    RebuildMaps,
    /// Indexes alone are, or maps too: they are made again from their tables.
    Reindex,
    /// Pages are, whose last version a copy has.
    PageRepair,
    /// More than pages is lost.
    Restore,
}

impl Remedy {
    /// The word in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::RebuildMaps => "rebuild-maps",
            Self::Reindex => "reindex",
            Self::PageRepair => "page-repair",
            Self::Restore => "restore",
        }
    }
}

/// What is to be done about these pages, and why.
pub fn remedy(relations: &[Relation], bad: &[BadPage]) -> (Remedy, String) {
    let of = |is: &dyn Fn(&BadPage, &Relation) -> bool| -> Vec<String> {
        let mut names: Vec<String> = bad
            .iter()
            .filter(|bad| is(bad, &relations[bad.relation]))
            .map(|bad| relations[bad.relation].name.clone())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let is_index = |relation: &Relation| relation.kind == RelationKind::Index;
    let lost = of(&|bad, relation| bad.problem == Problem::Lost && !is_index(relation));
    let rows = of(&|_, relation| relation.kind.has_rows());
    let maps = of(&|_, relation| relation.kind == RelationKind::Map);
    let indexes = of(&|_, relation| is_index(relation));
    if !lost.is_empty() {
        let why = format!("the files of {} are not there: no page of them is left to repair", lost.join(", "));
        return (Remedy::Restore, why);
    }
    let count = bad.iter().filter(|bad| relations[bad.relation].kind.has_rows()).count();
    if count > REPAIRED_MAX {
        let why = format!(
            "more than {REPAIRED_MAX} pages with rows are damaged, of {}: too many to replace one by one",
            rows.join(", ")
        );
        return (Remedy::Restore, why);
    }
    if !rows.is_empty() {
        let also =
            if indexes.is_empty() { String::new() } else { format!(", and of the indexes {}", indexes.join(", ")) };
        let why = format!(
            "pages with rows are damaged, of {}{also}: rows are nowhere else on this server, so the pages must come from a copy",
            rows.join(", ")
        );
        return (Remedy::PageRepair, why);
    }
    if !indexes.is_empty() {
        let why =
            format!("only indexes are damaged, {}: all that is in them is in their tables too", indexes.join(", "));
        return (Remedy::Reindex, why);
    }
    if !maps.is_empty() {
        let why = format!(
            "only visibility maps are damaged, of {}: all that is in them is in the tables too",
            maps.join(", ")
        );
        return (Remedy::RebuildMaps, why);
    }
    (Remedy::None, "no page is damaged".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::segment::Lsn;

    #[test]
    fn what_is_damaged_decides() {
        let relation = |name: &str, kind| Relation {
            name: name.to_owned(),
            oid: 7,
            kind,
            of: None,
            file: "base/5/6".to_owned(),
            bytes: 8_192,
            is_lost: false,
        };
        let relations = [
            relation("t", RelationKind::Heap),
            relation("t_pkey", RelationKind::Index),
            relation("t_seq", RelationKind::Sequence),
            relation("t", RelationKind::Map),
        ];
        let check = |bad: &[(usize, Problem)], expect: Remedy, says: &str| {
            let page = |(relation, problem): &(usize, Problem)| BadPage {
                relation: *relation,
                block: 0,
                problem: *problem,
                lsn: Lsn(0),
            };
            let (choice, why) = remedy(&relations, &bad.iter().map(page).collect::<Vec<_>>());
            assert_eq!(choice, expect, "{why}");
            assert!(why.contains(says), "{why}");
        };
        check(&[], Remedy::None, "no page");
        check(&[(1, Problem::Checksum), (1, Problem::Header)], Remedy::Reindex, "damaged, t_pkey:");
        check(&[(3, Problem::Checksum)], Remedy::RebuildMaps, "of t:");
        check(&[(1, Problem::Header), (3, Problem::Checksum)], Remedy::Reindex, "t_pkey");
        check(&[(1, Problem::Lost)], Remedy::Reindex, "t_pkey");
        check(&[(0, Problem::Zeroed)], Remedy::PageRepair, "of t:");
        check(&[(0, Problem::Missing)], Remedy::PageRepair, "of t:");
        check(&[(0, Problem::Checksum); REPAIRED_MAX + 1], Remedy::Restore, "more than 1000 pages");
        check(&[(2, Problem::Checksum)], Remedy::PageRepair, "of t_seq:");
        check(&[(0, Problem::Checksum), (1, Problem::Checksum)], Remedy::PageRepair, "indexes t_pkey");
        check(&[(0, Problem::Lost), (1, Problem::Checksum)], Remedy::Restore, "files of t ");
    }
}
