//! What exactly one transaction removed: a fold over everything that it wrote, in the order of the WAL, from before its first
//! record to its commit. It keeps places, not lines.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lifeboat_plugin::Failure;

use crate::{
    damage::Candidate,
    exact_set::Tuples,
    identifier::TableName,
    layout::Layout,
    waldump::{Filenode, Kind, Place, Record},
    written::Written,
};

/// What one transaction removed and changed, over all its tables.
#[derive(Debug)]
pub struct Removals<'a> {
    layout: &'a Layout,
    members: HashSet<u32>,
    written: Written,
    removed: BTreeMap<Filenode, Tuples>,
    /// By (sub)transaction: a row that has just left its partition, and is inserted somewhere next.
    moving: HashMap<u32, Moving>,
    /// Pages to which it wrote rows with places that the text does not say.
    crowded: HashSet<(Filenode, u32)>,
    /// Files that it made: database and number.
    created: HashSet<(u32, u32)>,
    locked: BTreeSet<(u32, u32)>,
    doubts: Doubts,
}

/// A row that has left its partition.
#[derive(Debug, Clone, Copy)]
struct Moving {
    from: Filenode,
    origin: Option<Place>,
}

/// What the WAL did not say for certain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Rows that were moved to another partition, nobody knows for certain where.
    pub moves: u64,
    /// Rows that it seems to have inserted itself and removed again, where moved rows could have gone.
    pub own_where_moved: u64,
    /// Rows removed from files that it made itself.
    pub in_new_files: u64,
    /// Removed rows that it may have inserted itself, on pages that it filled with `COPY`. The copy knows: there only rows
    /// from before the transaction are visible.
    pub perhaps_own: u64,
}

impl<'a> Removals<'a> {
    /// Of a transaction and its committed subtransactions.
    pub fn of(xid: u32, subtransactions: &[u32], layout: &'a Layout) -> Self {
        Self {
            layout,
            members: subtransactions.iter().copied().chain([xid]).collect(),
            written: Written::default(),
            removed: BTreeMap::new(),
            moving: HashMap::new(),
            crowded: HashSet::new(),
            created: HashSet::new(),
            locked: BTreeSet::new(),
            doubts: Doubts::default(),
        }
    }

    /// Takes a record, in the order of the WAL. Those of other transactions do not count.
    pub fn take(&mut self, record: &Record) {
        if !self.members.contains(&record.xid) {
            return;
        }
        match &record.kind {
            Kind::Create { database, node } => {
                self.created.insert((*database, *node));
            }
            Kind::Lock(tables) => self.locked.extend(tables),
            kind => {
                let Some(file) = written_file(kind) else { return };
                // What belongs to the server itself comes back by itself; a moved row's TOAST is written before the row.
                if !self.layout.files.internal.contains(&file) {
                    let moving = self.moving.remove(&record.xid);
                    self.write(record.xid, kind, moving);
                }
            }
        }
    }

    fn write(&mut self, xid: u32, kind: &Kind, moving: Option<Moving>) {
        let arrived = match (kind, moving) {
            (Kind::Insert(place), Some(moving)) if self.layout.is_move(moving.from, place.file) => moving.origin,
            (_, moving) => {
                self.doubts.moves += u64::from(moving.is_some_and(|moving| moving.origin.is_some()));
                None
            }
        };
        match kind {
            Kind::Insert(place) => {
                self.written.insert(*place, arrived);
            }
            Kind::InsertMany { file, block, offsets: Some(offsets) } => {
                for offset in offsets {
                    self.written.insert(Place { file: *file, block: *block, offset: *offset }, None);
                }
            }
            Kind::InsertMany { file, block, offsets: None } => {
                self.crowded.insert((*file, *block));
            }
            Kind::Update { old, new } => {
                let origin = self.origin(*old);
                self.written.insert(*new, origin);
            }
            Kind::MoveAway(place) => {
                let origin = self.origin(*place);
                self.moving.insert(xid, Moving { from: place.file, origin });
            }
            // The place can be another transaction's next: it is no longer this one's.
            Kind::TakeBack(place) => {
                self.written.remove(*place);
            }
            Kind::Delete(place) => self.delete(*place),
            _ => {}
        }
    }

    /// The version from before the transaction that a version stands for, which is about to end.
    fn origin(&mut self, place: Place) -> Option<Place> {
        self.written.remove(place).unwrap_or(Some(place))
    }

    fn delete(&mut self, place: Place) {
        if self.created.contains(&(place.file.database, place.file.node)) {
            self.written.remove(place);
            self.doubts.in_new_files += 1;
            return;
        }
        let known = self.written.contains(place);
        // A row that the transaction had changed before it removed it comes back as it was before the change.
        match self.origin(place) {
            Some(origin) => {
                let crowded = !known && self.crowded.contains(&(place.file, place.block));
                self.doubts.perhaps_own += u64::from(crowded);
                self.removed.entry(origin.file).or_default().insert(origin.block, origin.offset);
            }
            None => self.doubts.own_where_moved += u64::from(self.layout.may_be_moved_to(place.file)),
        }
    }

    /// How many files of tables and indexes went with the transaction that had been there before it.
    pub fn dropped_files(&self, culprit: &Candidate) -> usize {
        let is_new = |node: &&u32| self.created.iter().any(|(_, created)| created == *node);
        culprit.dropped.iter().filter(|node| !is_new(node)).count()
    }

    /// Fails where the set would be incomplete or name the wrong rows.
    pub fn check(&self, culprit: &Candidate) -> Result<(), Failure> {
        if self.doubts.in_new_files > 0 && self.dropped_files(culprit) > 0 {
            let message = format!(
                "transaction {xid} gave a table a new file (TRUNCATE, CLUSTER or ALTER TABLE) and then removed {rows} rows from it: \
                 where they lay before, the WAL does not say; restore a copy with `before_xid: {xid}` and `promote: true`, and \
                 take the rows from there by key",
                xid = culprit.xid,
                rows = self.doubts.in_new_files
            );
            return Err(Failure::permanent("pg-table-rewritten", message));
        }
        let lost = self.moving.values().filter(|moving| moving.origin.is_some()).count() as u64;
        let moves = self.doubts.moves + lost;
        if moves > 0 && self.doubts.own_where_moved > 0 {
            let message = format!(
                "transaction {} moved {moves} rows to another partition, where the WAL does not say for certain which they became, \
                 and removed {} rows that it seems to have inserted there: some of these may be rows from before",
                culprit.xid, self.doubts.own_where_moved
            );
            return Err(Failure::permanent("pg-moved-rows", message));
        }
        Ok(())
    }

    /// What is not certain.
    pub fn doubts(&self) -> Doubts {
        self.doubts
    }

    /// Rows that were there before, are still there, and were changed, by file.
    pub fn updated(&self) -> BTreeMap<Filenode, u64> {
        let mut counts = BTreeMap::new();
        for origin in self.written.origins() {
            *counts.entry(origin.file).or_default() += 1;
        }
        counts
    }

    /// Tables among these that it locked against reading until its end.
    pub fn locked(&self, database: u32, tables: &BTreeMap<TableName, Tuples>) -> Vec<TableName> {
        let ours = self.locked.iter().filter(|(locked_in, _)| *locked_in == database);
        let names = ours.filter_map(|(_, oid)| self.layout.names.get(oid));
        names.filter(|name| tables.contains_key(*name)).cloned().collect()
    }

    /// Rows that were there before and are gone, by file.
    pub fn removed(&self) -> &BTreeMap<Filenode, Tuples> {
        &self.removed
    }
}

/// The file to which a record of rows belongs.
fn written_file(kind: &Kind) -> Option<Filenode> {
    match kind {
        Kind::Insert(place) | Kind::Delete(place) | Kind::MoveAway(place) | Kind::TakeBack(place) => Some(place.file),
        Kind::Update { new, .. } => Some(new.file),
        Kind::InsertMany { file, .. } => Some(*file),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
