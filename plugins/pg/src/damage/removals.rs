//! What exactly some transactions removed: a fold over everything that they wrote, in the order of the WAL, from before the first
//! record to the last commit. It keeps places, not lines.
//!
//! The places are those of a copy that stands just before the first of their commits. For one transaction, its own records
//! suffice: everything else that it saw was committed before. For several, other transactions can have moved rows in between; all
//! transactions that committed from the first of them to the last are followed too.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lifeboat_plugin::Failure;

use crate::{
    damage::{
        deleters::Candidate,
        layout::Layout,
        written::{Origin, RowVersion, Written},
    },
    rows::{
        exact_set::{ExactSet, Tuples},
        successors::Successors,
    },
    server::identifier::TableName,
    wal::{
        segment::Lsn,
        waldump::{Filenode, Kind, Place, Record},
    },
};

/// What transactions removed and changed, over all their tables.
#[derive(Debug)]
pub struct Removals<'a> {
    layout: &'a Layout,
    /// The transactions with their subtransactions.
    members: HashSet<u32>,
    /// Others that committed between the first of them and the last, with their subtransactions, in ascending order.
    meanwhile: Vec<u32>,
    /// The first of their commits.
    commit: Lsn,
    written: Written,
    removed: BTreeMap<Filenode, Tuples>,
    /// Row versions of the copy that others ended meanwhile.
    ended: BTreeMap<Filenode, Tuples>,
    unplaced: BTreeMap<Filenode, u64>,
    outdated: BTreeMap<Filenode, u64>,
    /// By (sub)transaction: a row that has just left its partition, and is inserted somewhere next.
    moving: HashMap<u32, Moving>,
    /// Pages to which rows were written with places that the text does not say.
    crowded: HashSet<(Filenode, u32)>,
    /// Files that they made: database and number.
    created: HashSet<(u32, u32)>,
    /// Files that others made meanwhile.
    created_meanwhile: HashSet<(u32, u32)>,
    locked: BTreeSet<(u32, u32)>,
    doubts: Doubts,
}

/// A row that has left its partition.
#[derive(Debug, Clone, Copy)]
struct Moving {
    from: Filenode,
    version: RowVersion,
}

/// Who wrote a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// One of the transactions.
    Ours,
    /// Another one that committed meanwhile.
    Other,
}

/// What the WAL leaves uncertain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Rows that were moved to another partition; it is not certain where.
    pub moves: u64,
    /// Rows that they seem to have inserted themselves and removed again, where moved rows could have gone.
    pub own_where_moved: u64,
    /// Rows removed from files that they made themselves.
    pub in_new_files: u64,
    /// Rows removed from files that others made meanwhile: their earlier places are unknown.
    pub in_files_made_meanwhile: u64,
    /// Removed rows that they may have inserted themselves, on pages that were filled with `COPY`. The copy knows: there only
    /// rows from before the first commit are visible.
    pub perhaps_own: u64,
}

impl<'a> Removals<'a> {
    /// Of these transactions, in the order of their commits, with their committed subtransactions.
    pub fn of(transactions: &[Candidate], layout: &'a Layout) -> Self {
        Self {
            layout,
            members: transactions.iter().flat_map(Candidate::members).collect(),
            meanwhile: Vec::new(),
            commit: transactions.first().map_or(Lsn(0), |first| first.lsn),
            written: Written::default(),
            removed: BTreeMap::new(),
            ended: BTreeMap::new(),
            unplaced: BTreeMap::new(),
            outdated: BTreeMap::new(),
            moving: HashMap::new(),
            crowded: HashSet::new(),
            created: HashSet::new(),
            created_meanwhile: HashSet::new(),
            locked: BTreeSet::new(),
            doubts: Doubts::default(),
        }
    }

    /// Follows rows through what these other (sub)transactions did, which committed between the first and the last of ours.
    pub fn beside(mut self, mut meanwhile: Vec<u32>) -> Self {
        meanwhile.sort_unstable();
        self.meanwhile = meanwhile;
        self
    }

    fn writer(&self, xid: u32) -> Option<Writer> {
        if self.members.contains(&xid) {
            return Some(Writer::Ours);
        }
        self.meanwhile.binary_search(&xid).is_ok().then_some(Writer::Other)
    }

    /// Takes a record, in the order of the WAL. Those of transactions that did not take effect, or earlier, do not count.
    pub fn take(&mut self, record: &Record) {
        let Some(writer) = self.writer(record.xid) else { return };
        match &record.kind {
            Kind::Create { database, node } => {
                let files = if writer == Writer::Ours { &mut self.created } else { &mut self.created_meanwhile };
                files.insert((*database, *node));
            }
            // What is locked later is not locked in the copy.
            Kind::Lock(tables) if writer == Writer::Ours && record.lsn < self.commit => self.locked.extend(tables),
            kind => {
                let Some(file) = written_file(kind) else { return };
                if self.layout.files.internal.contains(&file) {
                    // What belongs to the server itself comes back by itself, except large objects. A moved row's TOAST is
                    // written before the row.
                    if self.layout.files.objects.is_some_and(|objects| objects.has(file)) {
                        self.write(writer, record.xid, kind, None);
                    }
                } else {
                    let moving = self.moving.remove(&record.xid);
                    self.write(writer, record.xid, kind, moving);
                }
            }
        }
    }

    fn write(&mut self, writer: Writer, xid: u32, kind: &Kind, moving: Option<Moving>) {
        let new = RowVersion::of(if writer == Writer::Ours { Origin::Own } else { Origin::Others });
        let arrived = match (kind, moving) {
            (Kind::Insert(place), Some(moving)) if self.layout.is_move(moving.from, place.file) => moving.version,
            (_, moving) => {
                self.doubts.moves += u64::from(moving.is_some_and(|moving| self.is_lost(xid, &moving)));
                new
            }
        };
        match kind {
            Kind::Insert(place) => self.written.insert(*place, arrived),
            Kind::InsertMany { file, block, offsets: Some(offsets) } => {
                for offset in offsets {
                    self.written.insert(Place { file: *file, block: *block, offset: *offset }, new);
                }
            }
            Kind::InsertMany { file, block, offsets: None } => {
                self.crowded.insert((*file, *block));
            }
            Kind::Update { old, new } => {
                let version = self.change(writer, *old);
                self.written.insert(*new, version);
            }
            Kind::MoveAway(place) => {
                let version = self.change(writer, *place);
                self.moving.insert(xid, Moving { from: place.file, version });
            }
            // The place can be another transaction's next: it is no longer this one's.
            Kind::TakeBack(place) => {
                self.written.remove(*place);
            }
            Kind::Delete(place) if writer == Writer::Ours => self.delete(*place),
            Kind::Delete(place) => {
                self.end(writer, *place);
            }
            _ => {}
        }
    }

    /// Whether a row from before that these transactions moved has left its partition for an unknown place.
    fn is_lost(&self, xid: u32, moving: &Moving) -> bool {
        matches!(moving.version.origin, Origin::Before(_)) && self.members.contains(&xid)
    }

    /// What a row version that is about to be replaced is, for the one that replaces it.
    fn change(&mut self, writer: Writer, place: Place) -> RowVersion {
        let version = self.end(writer, place);
        match writer {
            Writer::Ours => RowVersion { changed: true, ..version },
            Writer::Other => RowVersion { outdated: true, ..version },
        }
    }

    /// What a row version that is about to end is.
    fn end(&mut self, writer: Writer, place: Place) -> RowVersion {
        if let Some(version) = self.written.remove(place) {
            return version;
        }
        let crowded = self.crowded.contains(&(place.file, place.block));
        let is_new_file = self.created_meanwhile.contains(&(place.file.database, place.file.node));
        let has = |places: &BTreeMap<Filenode, Tuples>| {
            places.get(&place.file).is_some_and(|tuples| tuples.contains(place.block, place.offset))
        };
        // The place was free again when `COPY` filled the page: what lies there now is not what the copy has there.
        if crowded && (is_new_file || has(&self.ended) || has(&self.removed)) {
            return RowVersion::of(Origin::Others);
        }
        if is_new_file {
            self.doubts.in_files_made_meanwhile += u64::from(writer == Writer::Ours);
            return RowVersion::of(Origin::Others);
        }
        if writer == Writer::Other {
            self.ended.entry(place.file).or_default().insert(place.block, place.offset);
        }
        RowVersion::of(Origin::Before(place))
    }

    fn delete(&mut self, place: Place) {
        if self.created.contains(&(place.file.database, place.file.node)) {
            self.written.remove(place);
            self.doubts.in_new_files += 1;
            return;
        }
        let known = self.written.contains(place);
        let version = self.end(Writer::Ours, place);
        // A row that they had changed before they removed it comes back as it was before the change.
        match version.origin {
            Origin::Before(origin) => {
                let crowded = !known && self.crowded.contains(&(place.file, place.block));
                self.doubts.perhaps_own += u64::from(crowded);
                self.removed.entry(origin.file).or_default().insert(origin.block, origin.offset);
                if version.outdated {
                    *self.outdated.entry(origin.file).or_default() += 1;
                }
            }
            Origin::Own => self.doubts.own_where_moved += u64::from(self.layout.may_be_moved_to(place.file)),
            Origin::Others => *self.unplaced.entry(place.file).or_default() += 1,
        }
    }

    /// How many files of tables and indexes went with the transactions that had been there before them.
    pub fn dropped_files(&self, transactions: &[Candidate]) -> usize {
        let is_new = |node: &&u32| self.created.iter().any(|(_, created)| created == *node);
        transactions.iter().flat_map(|each| &each.dropped).filter(|node| !is_new(node)).count()
    }

    /// Fails if the set would be incomplete or name the wrong rows.
    pub fn check(&self, transactions: &[Candidate]) -> Result<(), Failure> {
        let xid = transactions.first().map_or(0, |first| first.xid);
        if self.doubts.in_new_files > 0 && self.dropped_files(transactions) > 0 {
            let message = format!(
                "transaction {xid} gave a table a new file (TRUNCATE, CLUSTER or ALTER TABLE) and then removed \
                 {rows} rows from it: the WAL does not say where they were before; restore a copy with `before_xid: \
                 {xid}` and `promote: true`, and take the rows from there by key",
                rows = self.doubts.in_new_files
            );
            return Err(Failure::permanent("pg-table-rewritten", message));
        }
        if self.doubts.in_files_made_meanwhile > 0 {
            let message = format!(
                "a table got a new file (VACUUM FULL, CLUSTER or ALTER TABLE) between the first and the last of the \
                 transactions, and {rows} rows were removed from it after that: the WAL does not say where they were \
                 before; use two runs, with `xids` for each, to put back what was removed before the new file and \
                 what was removed after it",
                rows = self.doubts.in_files_made_meanwhile
            );
            return Err(Failure::permanent("pg-table-rewritten", message));
        }
        let lost = self.moving.iter().filter(|(xid, moving)| self.is_lost(**xid, moving)).count() as u64;
        let moves = self.doubts.moves + lost;
        if moves > 0 && self.doubts.own_where_moved > 0 {
            let message = format!(
                "transaction {xid} moved {moves} rows to another partition and removed {} rows that it seems to have \
                 inserted there: the WAL does not say for certain which of these are the moved ones, so some may be \
                 rows from before",
                self.doubts.own_where_moved
            );
            return Err(Failure::permanent("pg-moved-rows", message));
        }
        Ok(())
    }

    /// What is not certain.
    pub fn doubts(&self) -> Doubts {
        self.doubts
    }

    /// Rows that were there before, are still there, and were changed, where they lay before, by file.
    pub fn changed(&self) -> BTreeMap<Filenode, Tuples> {
        let mut changed: BTreeMap<Filenode, Tuples> = BTreeMap::new();
        for (_, version) in self.written.left().filter(|(_, version)| version.changed) {
            if let Origin::Before(place) = version.origin {
                changed.entry(place.file).or_default().insert(place.block, place.offset);
            }
        }
        changed
    }

    /// Where each of these lies afterwards, if that is in the same file: a row that was moved to another partition is not among
    /// them.
    pub fn successors(&self) -> BTreeMap<Filenode, Successors> {
        let mut rows: BTreeMap<Filenode, Successors> = BTreeMap::new();
        for (after, version) in self.written.left().filter(|(_, version)| version.changed) {
            match version.origin {
                Origin::Before(before) if before.file == after.file => {
                    let of_file = rows.entry(before.file).or_default();
                    of_file.insert((before.block, before.offset), (after.block, after.offset));
                }
                _ => {}
            }
        }
        rows
    }

    /// Whether the transactions made this file themselves: its places say nothing about the copy.
    pub fn made(&self, file: Filenode) -> bool {
        self.created.contains(&(file.database, file.node))
    }

    /// Tables whose rows come back, or whose values do, that were locked against reading when the first of the transactions
    /// committed, by them.
    pub fn locked(&self, database: u32, set: &ExactSet) -> Vec<TableName> {
        let ours = self.locked.iter().filter(|(locked_in, _)| *locked_in == database);
        let names = ours.filter_map(|(_, oid)| self.layout.names.get(oid));
        names.filter(|name| set.tables.contains_key(*name) || set.became.contains_key(*name)).cloned().collect()
    }

    /// Rows that were there before and are gone, by file.
    pub fn removed(&self) -> &BTreeMap<Filenode, Tuples> {
        &self.removed
    }

    /// Rows that are gone and that others had inserted after the first commit, by file: no copy has them.
    pub fn unplaced(&self) -> &BTreeMap<Filenode, u64> {
        &self.unplaced
    }

    /// Removed rows that others had changed after the first commit, by file: the copy has them as they were before that.
    pub fn outdated(&self) -> &BTreeMap<Filenode, u64> {
        &self.outdated
    }
}

/// The file to which a record of rows belongs.
pub fn written_file(kind: &Kind) -> Option<Filenode> {
    match kind {
        Kind::Insert(place) | Kind::Delete(place) | Kind::MoveAway(place) | Kind::TakeBack(place) => Some(place.file),
        Kind::Update { new, .. } => Some(new.file),
        Kind::InsertMany { file, .. } => Some(*file),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
