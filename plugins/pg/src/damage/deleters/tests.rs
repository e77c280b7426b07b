//! The fold against hand-written histories.

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
    let mut deleters = Deleters::new(Sought::Removed, [TABLE]);
    records.iter().for_each(|record| deleters.take(record));
    let found = records.iter().filter_map(|record| deleters.settle(record)).filter(|candidate| candidate.rows > 0);
    found.map(|candidate| (candidate.xid, candidate.rows, candidate.first_lsn.0)).collect()
}

#[test]
fn changes_count_where_they_are_sought() {
    let (old, new) = (at(TABLE, 0, 1), at(TABLE, 0, 2));
    let history = [
        record(7, 1, Kind::Update { old, new }),
        record(7, 2, Kind::Delete(at(TABLE, 0, 3))),
        record(7, 3, commit(&[])),
    ];
    for (sought, first) in [(Sought::Removed, 2), (Sought::Changed, 1)] {
        let mut deleters = Deleters::new(sought, [TABLE]);
        history.iter().for_each(|record| deleters.take(record));
        let found = deleters.settle(&history[2]).map(|candidate| (candidate.rows, candidate.first_lsn.0));
        assert_eq!(found, Some((1, first)), "{sought:?}");
    }
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

#[test]
fn what_was_removed_before_the_search_counts_too() {
    let delete = |xid, lsn| record(xid, lsn, Kind::Delete(at(TABLE, 0, 1)));
    let (mut earlier, mut later) = (Deleters::new(Sought::Removed, [TABLE]), Deleters::new(Sought::Removed, [TABLE]));
    [delete(7, 1), delete(8, 2), delete(9, 3)].iter().for_each(|record| earlier.take(record));
    later.take(&delete(7, 50));
    let mut found = later.settle(&record(7, 60, commit(&[8]))).expect("a commit");
    assert_eq!((found.rows, found.first_lsn), (1, Lsn(50)));
    earlier.add_to(&mut found);
    assert_eq!((found.rows, found.first_lsn), (3, Lsn(1)));
}

fn candidate(xid: u32, rows: u64) -> Candidate {
    Candidate {
        xid,
        rows,
        lsn: Lsn(u64::from(xid)),
        first_lsn: Lsn(0),
        commit_time: String::new(),
        files: BTreeSet::new(),
        early: false,
        subtransactions: vec![],
        dropped: vec![],
    }
}

#[test]
fn the_culprit_is_named_only_where_it_stands_out() {
    let check = |rows: &[u64], wanted: Wanted, expect: &str| {
        let mut largest = Largest::new(3);
        for (xid, rows) in (1..).zip(rows) {
            largest.take(candidate(xid, *rows), &wanted);
        }
        let xids = |all: &[Candidate]| all.iter().map(|candidate| candidate.xid).collect::<Vec<_>>();
        let verdict = match largest.verdict(&wanted) {
            Verdict::These(all) => format!("these {:?}", xids(&all)),
            Verdict::Several(all) => format!("several {:?}", xids(&all)),
            other => format!("{other:?}"),
        };
        assert_eq!(verdict, expect, "{rows:?}");
    };
    let these = |xids: &[u32]| Wanted::These(xids.iter().copied().collect());
    check(&[], Wanted::Largest, "Nobody");
    check(&[1, 1000, 3], Wanted::Largest, "these [2]");
    check(&[1000, 199], Wanted::Largest, "these [1]");
    check(&[1000, 200], Wanted::Largest, "several [1, 2]");
    check(&[5, 5, 5, 5, 1000], Wanted::Largest, "these [5]");
    check(&[1, 500, 600, 700], these(&[1]), "these [1]");
    check(&[700, 500, 600, 1], these(&[4, 2]), "these [2, 4]");
    check(&[1, 500], these(&[9, 1]), "NotThere([9])");
    check(&[], these(&[9]), "NotThere([9])");
    check(&[1, 500, 7], Wanted::All, "these [1, 2, 3]");
    check(&[1, 500, 7, 8], Wanted::All, "TooMany");
    check(&[], Wanted::All, "Nobody");
}
