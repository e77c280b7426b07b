//! The fold against hand-written histories and against a model of transactions.

use proptest::prelude::*;

use super::*;
use crate::damage::layout::Leaf;

const TABLE: Filenode = Filenode { tablespace: 1663, database: 5, node: 100 };
/// Partitions of one table; the last one has a trigger.
const PARTS: [Filenode; 3] = [
    Filenode { tablespace: 1663, database: 5, node: 201 },
    Filenode { tablespace: 1663, database: 5, node: 202 },
    Filenode { tablespace: 1663, database: 5, node: 203 },
];
const TOAST: Filenode = Filenode { tablespace: 1663, database: 5, node: 300 };
/// Rewritten since: it belongs to no table today.
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
        lsn: Lsn(1000),
        commit_time: String::new(),
        first_lsn: Lsn(0),
        rows: 0,
        files: BTreeSet::new(),
        early: false,
        subtransactions: vec![8],
        dropped: dropped.to_vec(),
    }
}

fn removed(records: &[Record]) -> Vec<(u32, u16)> {
    let layout = layout();
    let mut removals = Removals::of(&[culprit(&[])], &layout);
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
    // The place of a row that lost a race goes to the next row, whoever writes it.
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
    let mut removals = Removals::of(&[culprit(&[])], &layout);
    kinds.iter().for_each(|kind| removals.take(&record(7, 1, kind.clone())));
    removals.check(&[culprit(&[])]).map_err(|failure| failure.code().to_owned())?;
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
        let mut removals = Removals::of(&[culprit(&[])], &layout);
        kinds.iter().for_each(|kind| removals.take(&record(8, 1, (*kind).clone())));
        let found = removals.check(&[culprit(dropped)]).map_err(|failure| failure.code().to_owned());
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
    let mut removals = Removals::of(&[culprit(&[])], &layout);
    removals.take(&record(8, 1, Kind::Lock(vec![(5, 77), (5, 78), (6, 77)])));
    // Locked after the copy's moment.
    removals.take(&record(8, 1001, Kind::Lock(vec![(4, 77)])));
    removals.take(&record(9, 1, Kind::Lock(vec![(5, 78)])));
    let mut set = ExactSet::empty(vec![8], Lsn(1000));
    set.became.insert(table.clone(), Successors::default());
    assert_eq!(removals.locked(5, &set), std::slice::from_ref(&table));
    let mut set = ExactSet::empty(vec![8], Lsn(1000));
    set.tables.insert(table.clone(), Tuples::default());
    assert_eq!(removals.locked(5, &set), [table]);
    assert_eq!(removals.locked(6, &set).len(), 1);
    assert_eq!(removals.locked(4, &set), []);
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
        let mut removals = Removals::of(&[culprit(&[])], &layout);
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
        let mut still_changed: Vec<_> =
            changed.iter().filter(|row| !gone.contains(row)).map(|row| (0, row + 1)).collect();
        still_changed.sort_unstable();
        let found = removals.changed().remove(&TABLE).unwrap_or_default();
        prop_assert_eq!(found.iter().collect::<Vec<_>>(), still_changed);
        let removed = removals.removed().get(&TABLE).cloned().unwrap_or_default();
        prop_assert_eq!(removed.iter().collect::<Vec<_>>(), gone.iter().map(|row| (0, row + 1)).collect::<Vec<_>>());
    }
}

const OURS: [u32; 2] = [7, 9];
const OTHER: u32 = 20;
const ROLLED_BACK: u32 = 30;

fn several(layout: &Layout) -> Removals<'_> {
    let transactions = OURS.map(|xid| Candidate { xid, lsn: Lsn(1000 + u64::from(xid)), ..culprit(&[]) });
    Removals::of(&transactions, layout).beside(vec![OTHER])
}

fn counts(counts: &BTreeMap<Filenode, u64>) -> u64 {
    counts.get(&TABLE).copied().unwrap_or_default()
}

#[test]
fn what_others_moved_in_between_is_found_in_the_copy() {
    let delete = |xid, block, offset| record(xid, 1, Kind::Delete(at(TABLE, block, offset)));
    let update = |xid, old, new| record(xid, 1, Kind::Update { old: at(TABLE, 0, old), new: at(TABLE, 1, new) });
    let check = |records: &[Record], expect: (&[(u32, u16)], u64, u64)| {
        let layout = layout();
        let mut removals = several(&layout);
        records.iter().for_each(|record| removals.take(record));
        let places: Vec<_> = removals.removed().get(&TABLE).cloned().unwrap_or_default().iter().collect();
        let found = (places.as_slice(), counts(removals.unplaced()), counts(removals.outdated()));
        assert_eq!(found, expect, "{records:?}");
    };
    check(&[delete(7, 0, 1), delete(9, 0, 2)], (&[(0, 1), (0, 2)], 0, 0));
    // Another one changed the row first: the copy has it as it was before that.
    check(&[update(OTHER, 5, 1), delete(9, 1, 1)], (&[(0, 5)], 0, 1));
    check(&[update(7, 5, 1), delete(9, 1, 1)], (&[(0, 5)], 0, 0));
    check(&[update(ROLLED_BACK, 5, 1), delete(9, 0, 5)], (&[(0, 5)], 0, 0));
    let insert = |xid, offset| record(xid, 1, Kind::Insert(at(TABLE, 2, offset)));
    check(&[insert(OTHER, 1), delete(9, 2, 1)], (&[], 1, 0));
    check(&[insert(7, 1), delete(9, 2, 1)], (&[], 0, 0));
    // The place of a row that another one removed is used again.
    check(&[delete(OTHER, 0, 5), record(OTHER, 1, Kind::Insert(at(TABLE, 0, 5))), delete(9, 0, 5)], (&[], 1, 0));
    let copy = |xid| record(xid, 1, Kind::InsertMany { file: TABLE, block: 0, offsets: None });
    check(&[delete(OTHER, 0, 5), copy(OTHER), delete(9, 0, 5), delete(9, 0, 6)], (&[(0, 6)], 1, 0));
    check(&[delete(7, 0, 5), copy(OTHER), delete(9, 0, 5)], (&[(0, 5)], 1, 0));
}

#[test]
fn a_table_with_a_new_file_in_between_is_refused() {
    let layout = layout();
    let mut removals = several(&layout);
    removals.take(&record(7, 1, Kind::Delete(at(GONE, 0, 1))));
    removals.take(&record(OTHER, 2, Kind::Create { database: 5, node: TABLE.node }));
    assert_eq!(removals.check(&[culprit(&[])]), Ok(()));
    removals.take(&record(9, 3, Kind::Delete(at(TABLE, 0, 1))));
    let failure = removals.check(&[culprit(&[])]).expect_err("a new file");
    assert_eq!(failure.code(), "pg-table-rewritten");
}

/// A row of the model of several transactions.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// Its number, where it was there before; whether it is ours, where it was not.
    origin: Result<u16, bool>,
    place: Place,
    changed: bool,
    outdated: bool,
}

proptest! {
    /// Transactions take turns; what the chosen ones removed is found at its place from before, whoever moved it.
    #[test]
    fn several_transactions_are_what_a_model_lost(steps in prop::collection::vec((0_usize..4, steps()), 0..30), before in 0_u16..20) {
        let row = |number: u16| Row { origin: Ok(number), place: at(TABLE, 0, number + 1), changed: false, outdated: false };
        let mut rows: Vec<Row> = (0..before).map(row).collect();
        let layout = layout();
        let mut removals = several(&layout);
        let (mut gone, mut unplaced, mut outdated) = (Vec::new(), 0, 0);
        let turns = steps.into_iter().flat_map(|(who, steps)| steps.into_iter().take(4).map(move |step| (who, step)));
        for (next, (who, step)) in (1..).zip(turns) {
            let xid = [OURS[0], OURS[1], OTHER, ROLLED_BACK][who];
            let (ours, counts) = (who < 2, who < 3);
            let new = at(TABLE, 1, next);
            let kind = match step {
                Step::Insert => {
                    if counts {
                        rows.push(Row { origin: Err(ours), place: new, changed: false, outdated: false });
                    }
                    Kind::Insert(new)
                }
                Step::Update(_) | Step::Delete(_) if rows.is_empty() => continue,
                Step::Update(which) => {
                    let which = which % rows.len();
                    let old = rows[which].place;
                    if counts {
                        let row = &mut rows[which];
                        *row = Row { place: new, changed: row.changed || ours, outdated: row.outdated || !ours, ..*row };
                    }
                    Kind::Update { old, new }
                }
                Step::Delete(which) => {
                    let which = which % rows.len();
                    let row = rows[which];
                    if counts {
                        rows.remove(which);
                    }
                    match row.origin {
                        Ok(number) if ours => {
                            gone.push((0, number + 1));
                            outdated += u64::from(row.outdated);
                        }
                        Err(false) if ours => unplaced += 1,
                        _ => {}
                    }
                    Kind::Delete(row.place)
                }
            };
            removals.take(&record(xid, u64::from(next), kind));
        }
        gone.sort_unstable();
        let mut changed: Vec<_> =
            rows.iter().filter(|row| row.changed).filter_map(|row| Some((0, row.origin.ok()? + 1))).collect();
        changed.sort_unstable();
        let places = |tuples: Option<Tuples>| tuples.unwrap_or_default().iter().collect::<Vec<_>>();
        prop_assert_eq!(places(removals.removed().get(&TABLE).cloned()), gone);
        prop_assert_eq!(places(removals.changed().remove(&TABLE)), changed);
        prop_assert_eq!((counts(removals.unplaced()), counts(removals.outdated())), (unplaced, outdated));
    }
}
