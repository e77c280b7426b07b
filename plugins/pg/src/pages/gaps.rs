//! Pages that had rows, and are empty or are not there at all. Nothing on disk says so by itself: a table grows by empty pages, keeps some
//! that it never used after a crash, and a file that ends early has sound pages.
//!
//! The indexes of the table say so: each row has an entry, so a page to which an entry leads has been used. What a server has on disk
//! is not all of one moment, so all that looks wrong is looked at again after a checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use super::{
    bad_page::BadPage,
    checksum::PAGE_BYTES,
    entries::{Blocks, collect},
    page::{Problem, is_empty, problem},
    reading::{PageRange, read},
    relations::{Relation, RelationKind},
    remedy::REPAIRED_MAX,
};
use crate::wal::segment::Lsn;

/// Pages of an index that are read at once.
const PAGES_AT_ONCE: u32 = 512;

/// What the pages say that were seen so far.
#[derive(Debug)]
pub(super) struct Gaps<'a> {
    relations: &'a [Relation],
    /// Empty pages of tables, and the last page that is not.
    tables: BTreeMap<usize, (BTreeSet<u32>, Option<u32>)>,
    /// The pages to which the indexes of a table lead, by the table's OID.
    used: BTreeMap<i64, Blocks>,
    /// Indexes that do not have all of their entries.
    torn: BTreeSet<usize>,
}

impl<'a> Gaps<'a> {
    /// Nothing was seen.
    pub(super) fn of(relations: &'a [Relation]) -> Self {
        Self { relations, tables: BTreeMap::new(), used: BTreeMap::new(), torn: BTreeSet::new() }
    }

    /// A page as it is on disk; one that is damaged says nothing.
    pub(super) fn see(&mut self, place: usize, block: u32, page: &[u8], is_damaged: bool) {
        let relation = &self.relations[place];
        let is_empty = is_empty(page);
        match (relation.kind, &relation.of) {
            (RelationKind::Heap, _) => {
                let (empty, last) = self.tables.entry(place).or_default();
                if is_empty {
                    empty.insert(block);
                } else {
                    *last = Some(block);
                }
            }
            (RelationKind::Index, Some(_)) if is_empty || is_damaged => drop(self.torn.insert(place)),
            (RelationKind::Index, Some(of)) if of.is_btree => collect(page, self.used.entry(of.table).or_default()),
            _ => {}
        }
    }

    /// The damaged pages among them.
    pub(super) fn found(&self, connection: &impl Connection, checksums: bool) -> Result<Vec<BadPage>, Failure> {
        let tables: Vec<usize> = (0..self.relations.len()).filter(|place| self.is_suspect(*place)).collect();
        let mut found = Vec::new();
        if tables.is_empty() {
            return Ok(found);
        }
        connection.execute("CHECKPOINT", &[])?;
        for place in tables {
            found.extend(self.found_in(connection, place, checksums)?);
        }
        Ok(found)
    }

    fn is_suspect(&self, place: usize) -> bool {
        let relation = &self.relations[place];
        if relation.kind != RelationKind::Heap {
            return false;
        }
        let ends_early =
            self.used.get(&relation.oid).and_then(Blocks::last).is_some_and(|last| last >= relation.pages());
        ends_early || !self.suspects(place, self.used.get(&relation.oid)).is_empty()
    }

    /// The empty pages to which an index leads; or those before a page that is used, where no index has an entry for every row.
    fn suspects(&self, place: usize, used: Option<&Blocks>) -> Vec<u32> {
        let Some((empty, last)) = self.tables.get(&place) else { return Vec::new() };
        let is_whole = self.has_whole_index(self.relations[place].oid);
        let is_suspect = |block: &u32| {
            used.is_some_and(|used| used.contains(*block)) || !is_whole && last.is_some_and(|last| *block < last)
        };
        empty.iter().copied().filter(is_suspect).collect()
    }

    fn has_whole_index(&self, table: i64) -> bool {
        let is_whole = |(place, relation): (usize, &Relation)| {
            let of = relation.of.as_ref().filter(|of| of.table == table && of.is_btree && of.has_every_row);
            of.is_some() && !relation.is_lost && !self.torn.contains(&place)
        };
        self.relations.iter().enumerate().any(is_whole)
    }

    /// Looks again, after a checkpoint.
    fn found_in(&self, connection: &impl Connection, place: usize, checksums: bool) -> Result<Vec<BadPage>, Failure> {
        let relation = &self.relations[place];
        let bad = |block: u32, problem: Problem| BadPage { relation: place, block, problem, lsn: Lsn(0) };
        let used = self.read_entries(connection, relation.oid, checksums)?;
        let mut found = Vec::new();
        for block in self.suspects(place, Some(&used)) {
            let page =
                read(connection, &[PageRange { relation: place, file: relation.file.clone(), block, count: 1 }])?;
            let is_empty = is_empty(&page.concat());
            // A page with rows that is not on disk yet is no damage.
            if is_empty && (used.contains(block) || !has_rows(connection, &relation.name, block)?) {
                found.push(bad(block, Problem::Zeroed));
            }
        }
        if let Some(last) = used.last() {
            let end = relation.pages().max(pages_now(connection, relation)?);
            // An entry that is wrong itself may lead anywhere.
            found.extend((end..=last).take(REPAIRED_MAX + 1).map(|block| bad(block, Problem::Missing)));
        }
        Ok(found)
    }

    fn read_entries(&self, connection: &impl Connection, table: i64, checksums: bool) -> Result<Blocks, Failure> {
        let mut used = Blocks::default();
        let is_meant = |relation: &&Relation| relation.of.as_ref().is_some_and(|of| of.table == table && of.is_btree);
        for index in self.relations.iter().filter(is_meant) {
            for span in PageRange::cut(0, &index.file, index.pages(), PAGES_AT_ONCE) {
                let bytes = read(connection, std::slice::from_ref(&span))?.concat();
                for (block, page) in (span.block..).zip(bytes.chunks_exact(PAGE_BYTES)) {
                    if problem(page, block, checksums).is_none() {
                        collect(page, &mut used);
                    }
                }
            }
        }
        Ok(used)
    }
}

fn pages_now(connection: &impl Connection, relation: &Relation) -> Result<u32, Failure> {
    let sql = "SELECT pg_catalog.pg_relation_size($1::bigint::oid) AS bytes";
    // Of a table that was dropped meanwhile nothing is missing.
    let bytes: Option<u64> = connection.query(sql, &[Value::from(relation.oid)])?.one()?.get("bytes")?;
    Ok(bytes.map_or(u32::MAX, |bytes| Relation { bytes, ..relation.clone() }.pages()))
}

/// Whether the server has rows in a page of a table.
fn has_rows(connection: &impl Connection, table: &str, block: u32) -> Result<bool, Failure> {
    let sql =
        format!("SELECT EXISTS (SELECT FROM ONLY {table} WHERE ctid >= $1::text::tid AND ctid < $2::text::tid) AS any");
    let place = |block: u64| Value::from(format!("({block},0)"));
    connection.query(&sql, &[place(block.into()), place(u64::from(block) + 1)])?.one()?.get("any")
}

#[cfg(test)]
mod tests {
    use super::{
        super::{entries::tests::leaf, relations::IndexOf},
        *,
    };

    fn relation(oid: i64, pages: u32, of: Option<IndexOf>) -> Relation {
        let kind = if of.is_some() { RelationKind::Index } else { RelationKind::Heap };
        let bytes = u64::from(pages) * PAGE_BYTES as u64;
        Relation { name: format!("t{oid}"), oid, kind, of, file: format!("base/5/{oid}"), bytes, is_lost: false }
    }

    /// A table of which each letter is a page, `0` an empty one; its index leads to these pages, if it has one.
    fn suspects(table: &str, index: Option<(&[u32], bool)>) -> (Vec<u32>, bool) {
        let mut relations = vec![relation(7, u32::try_from(table.len()).unwrap_or_default(), None)];
        let of = |has_every_row| IndexOf { table: 7, is_btree: true, has_every_row };
        relations.extend(index.map(|(_, has_every_row)| relation(8, 1, Some(of(has_every_row)))));
        let mut gaps = Gaps::of(&relations);
        if let Some((entries, _)) = index {
            let entries: Vec<&[u32]> = entries.chunks(1).collect();
            gaps.see(1, 0, &leaf(&entries, true), false);
        }
        for (block, letter) in (0..).zip(table.bytes()) {
            gaps.see(0, block, &[letter - b'0'; PAGE_BYTES], false);
        }
        (gaps.suspects(0, gaps.used.get(&7)), gaps.is_suspect(0))
    }

    #[test]
    fn an_empty_page_is_damage_where_an_index_leads_to_it() {
        let check = |table: &str, index: Option<(&[u32], bool)>, empty: &[u32], expect: bool| {
            assert_eq!(suspects(table, index), (empty.to_vec(), expect), "{table} {index:?}");
        };
        check("101", Some((&[0, 2], true)), &[], false);
        check("101", Some((&[0, 1, 2], true)), &[1], true);
        check("1100", Some((&[0, 1, 3], true)), &[3], true);
        // The file ends before.
        check("11", Some((&[0, 1, 4], true)), &[], true);
        check("", Some((&[0], true)), &[], true);
        // No index tells of every row: what lies before a page in use is looked at.
        check("10010", Some((&[0, 3], false)), &[1, 2], true);
        check("10010", None, &[1, 2], true);
        check("1000", None, &[], false);
    }

    #[test]
    fn an_index_that_is_damaged_itself_does_not_tell_of_every_row() {
        let of = IndexOf { table: 7, is_btree: true, has_every_row: true };
        let relations = [relation(7, 3, None), relation(8, 2, Some(of))];
        let mut gaps = Gaps::of(&relations);
        gaps.see(0, 0, &[0; PAGE_BYTES], false);
        gaps.see(0, 1, &[1; PAGE_BYTES], false);
        assert!(gaps.suspects(0, None).is_empty());
        gaps.see(1, 0, &leaf(&[&[1]], true), true);
        assert_eq!(gaps.suspects(0, None), [0]);
    }
}
