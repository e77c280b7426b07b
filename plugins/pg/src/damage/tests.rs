//! The folds against hand-written histories and against a model of transactions.

use proptest::prelude::*;

use super::*;

const TABLE: Filenode = Filenode { tablespace: 1663, database: 5, node: 100 };
const OTHER: Filenode = Filenode { tablespace: 1663, database: 5, node: 200 };

fn at(file: Filenode, block: u32, offset: u16) -> Place {
    Place { file, block, offset }
}

fn record(xid: u32, lsn: u64, kind: Kind) -> Record {
    Record { xid, lsn: Lsn(lsn), kind }
}

fn commit(subtransactions: &[u32]) -> Kind {
    let time = "2026-11-21 03:55:29.073844 UTC".to_owned();
    Kind::Commit { time, subtransactions: subtransactions.to_vec(), dropped: vec![] }
}

fn candidates(records: &[Record]) -> Vec<(u32, u64, u64)> {
    let mut deleters = Deleters::new([TABLE]);
    records.iter().for_each(|record| deleters.take(record));
    let found = records.iter().filter_map(|record| deleters.settle(record));
    found.map(|candidate| (candidate.xid, candidate.rows, candidate.first_lsn.0)).collect()
}

#[test]
fn only_what_took_effect_counts() {
    let delete = |xid, lsn, offset| record(xid, lsn, Kind::Delete(at(TABLE, 0, offset)));
    let abort =
        |xid, subtransactions: &[u32]| record(xid, 90, Kind::Abort { subtransactions: subtransactions.to_vec() });
    let check = |records: &[Record], expect: &[(u32, u64, u64)]| assert_eq!(candidates(records), expect);
    check(&[delete(7, 1, 1), delete(7, 2, 2), record(7, 3, commit(&[]))], &[(7, 2, 1)]);
    check(&[delete(8, 1, 1), delete(7, 2, 2), record(7, 3, commit(&[8]))], &[(7, 2, 1)]);
    check(&[delete(8, 1, 1), abort(8, &[]), delete(7, 2, 2), record(7, 3, commit(&[]))], &[(7, 1, 2)]);
    check(&[delete(8, 1, 1), abort(7, &[8])], &[]);
    check(&[delete(7, 1, 1)], &[]);
    check(&[record(7, 1, Kind::Delete(at(OTHER, 0, 1))), record(7, 3, commit(&[]))], &[]);
}

fn candidate(xid: u32, rows: u64) -> Candidate {
    Candidate {
        xid,
        rows,
        lsn: Lsn(u64::from(xid)),
        first_lsn: Lsn(0),
        commit_time: String::new(),
        subtransactions: vec![],
    }
}

#[test]
fn the_culprit_is_named_only_where_it_stands_out() {
    let check = |rows: &[u64], wanted: Option<u32>, expect: &str| {
        let mut largest = Largest::new(3);
        for (xid, rows) in (1..).zip(rows) {
            largest.take(candidate(xid, *rows), wanted);
        }
        let verdict = match largest.verdict(wanted) {
            Verdict::One(candidate) => format!("one {}", candidate.xid),
            Verdict::Several(all) => {
                format!("several {:?}", all.iter().map(|candidate| candidate.xid).collect::<Vec<_>>())
            }
            other => format!("{other:?}"),
        };
        assert_eq!(verdict, expect, "{rows:?}");
    };
    check(&[], None, "Nobody");
    check(&[1, 1000, 3], None, "one 2");
    check(&[1000, 199], None, "one 1");
    check(&[1000, 200], None, "several [1, 2]");
    check(&[5, 5, 5, 5, 1000], None, "one 5");
    check(&[1, 500, 600, 700], Some(1), "one 1");
    check(&[1, 500], Some(9), "NotThere");
}

fn removed(records: &[Record]) -> Vec<(u32, u16)> {
    let mut removals = Removals::of(7, &[8]);
    records.iter().for_each(|record| removals.take(record));
    removals.removed().remove(&TABLE).unwrap_or_default().iter().collect()
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
    check(&[record(9, 1, Kind::Delete(at(TABLE, 0, 5)))], &[]);
    check(&[record(8, 1, Kind::Delete(at(TABLE, 0, 5)))], &[(0, 5)]);
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
        let mut removals = Removals::of(7, &[]);
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
        let removed = removals.removed().remove(&TABLE).unwrap_or_default();
        prop_assert_eq!(removed.iter().collect::<Vec<_>>(), gone.iter().map(|row| (0, row + 1)).collect::<Vec<_>>());
    }
}
