//! Rows that were made and removed again after a deletion, in the tables of its exact set. If such a row had the key of a removed
//! one, the application has since removed that key on purpose, and the row must not come back. The WAL names places, not keys, so
//! these rows can only be counted.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    rows::exact_set::Tuples,
    wal::waldump::{Filenode, Kind, Place, Record},
};

/// A fold over the records of some files, and over ends of transactions, from the deletion on.
#[derive(Debug, Default)]
pub struct MadeAgain {
    files: HashSet<Filenode>,
    /// The transactions of the deletion.
    ours: HashSet<u32>,
    /// Where rows were made since.
    made: BTreeMap<Filenode, Tuples>,
    /// Pages to which rows were written with places that the text does not say.
    crowded: HashSet<(Filenode, u32)>,
    /// Such rows that (sub)transactions removed which have not ended yet.
    open: HashMap<u32, BTreeMap<Filenode, u64>>,
    gone: BTreeMap<Filenode, u64>,
}

impl MadeAgain {
    /// Looks at these files; what the transactions of the deletion removed themselves does not count.
    pub fn of(files: impl IntoIterator<Item = Filenode>, ours: impl IntoIterator<Item = u32>) -> Self {
        Self { files: files.into_iter().collect(), ours: ours.into_iter().collect(), ..Self::default() }
    }

    /// Takes a record, in the order of the WAL.
    pub fn take(&mut self, record: &Record) {
        match &record.kind {
            Kind::Insert(place) => self.make(*place),
            Kind::InsertMany { file, block, offsets: Some(offsets) } => {
                offsets.iter().for_each(|offset| self.make(Place { file: *file, block: *block, offset: *offset }));
            }
            Kind::InsertMany { file, block, offsets: None } if self.files.contains(file) => {
                self.crowded.insert((*file, *block));
            }
            Kind::Update { old, new } if self.is_made(*old) => self.make(*new),
            Kind::Delete(place) if self.is_made(*place) => {
                *self.open.entry(record.xid).or_default().entry(place.file).or_default() += 1;
            }
            Kind::Commit { subtransactions, .. } => {
                for (file, count) in self.ended(record.xid, subtransactions) {
                    if !self.ours.contains(&record.xid) {
                        *self.gone.entry(file).or_default() += count;
                    }
                }
            }
            Kind::Abort { subtransactions } => drop(self.ended(record.xid, subtransactions)),
            _ => {}
        }
    }

    /// How many rows were made and removed again, by file.
    pub fn gone(&self) -> &BTreeMap<Filenode, u64> {
        &self.gone
    }

    fn make(&mut self, place: Place) {
        if self.files.contains(&place.file) {
            self.made.entry(place.file).or_default().insert(place.block, place.offset);
        }
    }

    fn is_made(&self, place: Place) -> bool {
        self.made.get(&place.file).is_some_and(|made| made.contains(place.block, place.offset))
            || self.crowded.contains(&(place.file, place.block))
    }

    fn ended(&mut self, xid: u32, subtransactions: &[u32]) -> Vec<(Filenode, u64)> {
        let all = subtransactions.iter().chain([&xid]).filter_map(|each| self.open.remove(each));
        all.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::segment::Lsn;

    const FILE: Filenode = Filenode { tablespace: 1663, database: 5, node: 100 };
    const OTHER: Filenode = Filenode { tablespace: 1663, database: 5, node: 200 };

    #[test]
    fn only_rows_that_were_made_since_and_removed_by_others_count() {
        let at = |file, offset| Place { file, block: 0, offset };
        let insert = |offset| Kind::Insert(at(FILE, offset));
        let delete = |offset| Kind::Delete(at(FILE, offset));
        let commit = || Kind::Commit { time: String::new(), subtransactions: vec![21], dropped: vec![] };
        let many = |offsets| Kind::InsertMany { file: FILE, block: 0, offsets };
        let check = |kinds: &[(u32, Kind)], expect: u64| {
            let mut made_again = MadeAgain::of([FILE], [7]);
            for (xid, kind) in kinds {
                made_again.take(&Record { xid: *xid, lsn: Lsn(1), kind: kind.clone() });
            }
            assert_eq!(made_again.gone().values().sum::<u64>(), expect, "{kinds:?}");
        };
        check(&[(20, insert(1)), (20, commit()), (22, delete(1)), (22, commit())], 1);
        check(&[(20, insert(1)), (21, delete(1)), (20, commit())], 1);
        // It was there before; it is still there; it was not removed for good; the deletion itself removed it.
        check(&[(22, delete(1)), (22, commit())], 0);
        check(&[(20, insert(1)), (20, commit())], 0);
        check(&[(20, insert(1)), (22, delete(1)), (22, Kind::Abort { subtransactions: vec![] })], 0);
        check(&[(20, insert(1)), (7, delete(1)), (7, commit())], 0);
        check(&[(20, insert(1)), (22, delete(1))], 0);
        let moved = Kind::Update { old: at(FILE, 1), new: at(FILE, 9) };
        check(&[(20, insert(1)), (20, moved), (22, delete(9)), (22, commit())], 1);
        check(&[(20, many(Some(vec![1, 2]))), (22, delete(2)), (22, delete(3)), (22, commit())], 1);
        check(&[(20, many(None)), (22, delete(3)), (22, commit())], 1);
        let other = (Kind::Insert(at(OTHER, 1)), Kind::Delete(at(OTHER, 1)));
        check(&[(20, other.0), (22, other.1), (22, commit())], 0);
    }
}
