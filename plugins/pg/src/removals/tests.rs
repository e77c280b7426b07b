//! The fold against hand-written histories and against a model of transactions.

use proptest::prelude::*;

use super::*;
use crate::{layout::Leaf, wal_name::Lsn};

const TABLE: Filenode = Filenode { tablespace: 1663, database: 5, node: 100 };
/// Partitions of one table; the last one has a trigger.
const PARTS: [Filenode; 3] = [
    Filenode { tablespace: 1663, database: 5, node: 201 },
    Filenode { tablespace: 1663, database: 5, node: 202 },
    Filenode { tablespace: 1663, database: 5, node: 203 },
];
const TOAST: Filenode = Filenode { tablespace: 1663, database: 5, node: 300 };
/// Rewritten since: nobody's today.
const GONE: Filenode = Filenode { tablespace: 1663, database: 5, node: 400 };

fn layout() -> Layout {
    let mut layout = Layout::default();
    for file in [TABLE].iter().chain(&PARTS) {
        let name = TableName { schema: "public".to_owned(), name: format!("t{}", file.node) };
        layout.files.tables.insert(*file, name);
    }
    for (part, triggered) in PARTS.iter().zip([false, false, true]) {
        layout.leaves.insert(*part, Leaf { root: 200, triggered });
    }
    layout.files.internal.insert(TOAST);
    layout
}

fn at(file: Filenode, block: u32, offset: u16) -> Place {
    Place { file, block, offset }
}

fn record(xid: u32, lsn: u64, kind: Kind) -> Record {
    Record { xid, lsn: Lsn(lsn), kind }
}

fn culprit(dropped: &[u32]) -> Candidate {
    Candidate {
        xid: 7,
        lsn: Lsn(0),
        commit_time: String::new(),
        first_lsn: Lsn(0),
        rows: 0,
        subtransactions: vec![8],
        dropped: dropped.to_vec(),
    }
}

fn removed(records: &[Record]) -> Vec<(u32, u16)> {
    let layout = layout();
    let mut removals = Removals::of(7, &[8], &layout);
    records.iter().for_each(|record| removals.take(record));
    removals.removed().get(&TABLE).cloned().unwrap_or_default().iter().collect()
}

#[test]
fn a_row_comes_back_as_it_was_before_the_transaction() {
    let one = |kind| record(7, 1, kind);
    let update = |old, new| one(Kind::Update { old: at(TABLE, 0, old), new: at(TABLE, 1, new) });
    let again = |old, new| one(Kind::Update { old: at(TABLE, 1, old), new: at(TABLE, 1, new) });
    let delete = |block, offset| one(Kind::Delete(at(TABLE, block, offset)));
    let check = |records: &[Record], expect: &[(u32, u16)]| assert_eq!(removed(records), expect);
    check(&[delete(0, 5)], &[(0, 5)]);
    check(&[update(5, 1), delete(1, 1)], &[(0, 5)]);
    check(&[update(5, 1), again(1, 2), delete(1, 2)], &[(0, 5)]);
    check(&[update(5, 1)], &[]);
    check(&[one(Kind::Insert(at(TABLE, 1, 1))), delete(1, 1)], &[]);
    check(&[one(Kind::Insert(at(TABLE, 1, 1))), again(1, 2), delete(1, 2)], &[]);
    // The place of a row that lost a race is the next one's, whoever that is.
    let lost = at(TABLE, 0, 5);
    check(&[one(Kind::Insert(lost)), one(Kind::TakeBack(lost)), delete(0, 5)], &[(0, 5)]);
    let many = |offsets| one(Kind::InsertMany { file: TABLE, block: 0, offsets });
    check(&[many(Some(vec![5, 6])), delete(0, 5), delete(0, 7)], &[(0, 7)]);
    check(&[many(None), delete(0, 5)], &[(0, 5)]);
    check(&[record(9, 1, Kind::Delete(at(TABLE, 0, 5)))], &[]);
    check(&[record(8, 1, Kind::Delete(at(TABLE, 0, 5)))], &[(0, 5)]);
}

/// Rows by node, block and offset; or the code of the refusal.
fn moved(kinds: &[Kind]) -> Result<Vec<(u32, u32, u16)>, String> {
    let layout = layout();
    let mut removals = Removals::of(7, &[8], &layout);
    kinds.iter().for_each(|kind| removals.take(&record(7, 1, kind.clone())));
    removals.check(&culprit(&[])).map_err(|failure| failure.code().to_owned())?;
    let places = removals.removed().iter().map(|(file, tuples)| (file.node, tuples));
    Ok(places.flat_map(|(node, tuples)| tuples.iter().map(move |(b, o)| (node, b, o)).collect::<Vec<_>>()).collect())
}

#[test]
fn a_row_that_was_moved_first_comes_back_from_where_it_was() {
    let [one, two, guarded] = PARTS;
    let (from, to) = (at(one, 0, 5), at(two, 3, 1));
    let (leave, arrive, delete) = (Kind::MoveAway(from), Kind::Insert(to), Kind::Delete(to));
    let check = |kinds: &[&Kind], expect: Result<&[(u32, u32, u16)], &str>| {
        let kinds: Vec<Kind> = kinds.iter().map(|kind| (*kind).clone()).collect();
        assert_eq!(moved(&kinds).as_deref().map_err(String::as_str), expect, "{kinds:?}");
    };
    check(&[&leave, &arrive, &delete], Ok(&[(201, 0, 5)]));
    check(&[&leave, &arrive], Ok(&[]));
    // Its long values go to the TOAST table first; indexes and locks are of no matter.
    check(&[&leave, &Kind::Insert(at(TOAST, 0, 1)), &Kind::Other, &arrive, &delete], Ok(&[(201, 0, 5)]));
    // Moved twice, changed between.
    let change = Kind::Update { old: to, new: at(two, 3, 2) };
    let (again, home) = (Kind::MoveAway(at(two, 3, 2)), Kind::Insert(at(one, 9, 9)));
    let end = Kind::Delete(at(one, 9, 9));
    check(&[&leave, &arrive, &change, &again, &home, &end], Ok(&[(201, 0, 5)]));
    // Inserted by the transaction itself, then moved.
    check(&[&Kind::Insert(from), &leave, &arrive, &delete], Ok(&[]));
    // What comes between could be a trigger's doing, and so could what comes first where there is one.
    let other = Kind::Insert(at(TABLE, 1, 1));
    check(&[&leave, &other, &arrive, &delete], Err("pg-moved-rows"));
    check(&[&leave, &Kind::Insert(at(guarded, 1, 1)), &Kind::Delete(at(guarded, 1, 1))], Err("pg-moved-rows"));
    check(&[&leave, &Kind::Insert(at(GONE, 1, 1)), &Kind::Delete(at(GONE, 1, 1))], Err("pg-moved-rows"));
    // It does not matter where nothing was removed that a moved row could have become.
    check(&[&leave, &other, &arrive], Ok(&[]));
    check(&[&leave, &other, &Kind::Delete(at(TABLE, 1, 1))], Ok(&[]));
}

#[test]
fn rows_of_a_file_of_its_own_are_never_named() {
    let create = Kind::Create { database: 5, node: 100 };
    let delete = Kind::Delete(at(TABLE, 0, 1));
    let check = |kinds: &[&Kind], dropped: &[u32], expect: Result<usize, &str>| {
        let layout = layout();
        let mut removals = Removals::of(7, &[8], &layout);
        kinds.iter().for_each(|kind| removals.take(&record(8, 1, (*kind).clone())));
        let found = removals.check(&culprit(dropped)).map_err(|failure| failure.code().to_owned());
        let found = found.map(|()| removals.removed().len());
        assert_eq!(found.as_ref().map_err(String::as_str), expect.as_ref().map_err(|code| *code), "{kinds:?}");
    };
    // A new table.
    check(&[&create, &delete], &[], Ok(0));
    check(&[&create, &delete], &[100], Ok(0));
    // The table's old file is gone: its rows are in the new one.
    check(&[&create, &delete], &[99], Err("pg-table-rewritten"));
    check(&[&delete], &[99], Ok(1));
}

#[test]
fn a_table_of_the_set_that_was_locked_against_reading_is_named() {
    let mut layout = layout();
    let table = layout.files.tables[&TABLE].clone();
    layout.names.insert(77, table.clone());
    layout.names.insert(78, TableName { schema: "public".to_owned(), name: "other".to_owned() });
    let mut removals = Removals::of(7, &[8], &layout);
    removals.take(&record(8, 1, Kind::Lock(vec![(5, 77), (5, 78), (6, 77)])));
    removals.take(&record(9, 1, Kind::Lock(vec![(5, 78)])));
    let tables = BTreeMap::from([(table.clone(), Tuples::default())]);
    assert_eq!(removals.locked(5, &tables), [table]);
    assert_eq!(removals.locked(6, &tables).len(), 1);
    assert_eq!(removals.locked(4, &tables), []);
}

/// What a transaction does next: a new row, or a change or removal of one of the rows that it sees.
#[derive(Debug, Clone)]
enum Step {
    Insert,
    Update(usize),
    Delete(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        prop_oneof![Just(Step::Insert), any::<usize>().prop_map(Step::Update), any::<usize>().prop_map(Step::Delete)];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// Rows have an identity in the model; the WAL knows only places. Both must agree on what is gone and what changed.
    #[test]
    fn the_exact_set_is_what_a_model_lost(steps in steps(), before in 0_u16..20) {
        let mut rows: Vec<(Option<u16>, Place)> = (0..before).map(|row| (Some(row), at(TABLE, 0, row + 1))).collect();
        let layout = layout();
        let mut removals = Removals::of(7, &[], &layout);
        let (mut gone, mut changed) = (Vec::new(), HashSet::new());
        for (next, step) in (1..).zip(steps) {
            let new = at(TABLE, 1, next);
            let kind = match step {
                Step::Insert => { rows.push((None, new)); Kind::Insert(new) }
                Step::Update(_) | Step::Delete(_) if rows.is_empty() => continue,
                Step::Update(which) => {
                    let which = which % rows.len();
                    let (row, old) = rows[which];
                    rows[which].1 = new;
                    changed.extend(row);
                    Kind::Update { old, new }
                }
                Step::Delete(which) => {
                    let (row, place) = rows.remove(which % rows.len());
                    gone.extend(row);
                    Kind::Delete(place)
                }
            };
            removals.take(&record(7, u64::from(next), kind));
        }
        gone.sort_unstable();
        let still_changed = changed.iter().filter(|row| !gone.contains(row)).count() as u64;
        prop_assert_eq!(removals.updated().values().sum::<u64>(), still_changed);
        let removed = removals.removed().get(&TABLE).cloned().unwrap_or_default();
        prop_assert_eq!(removed.iter().collect::<Vec<_>>(), gone.iter().map(|row| (0, row + 1)).collect::<Vec<_>>());
    }
}
