//! The text of a set, and places in it.

use proptest::prelude::*;

use super::*;

fn table(name: &str) -> TableName {
    TableName { schema: "public".to_owned(), name: name.to_owned() }
}

fn moved(places: &[(u32, u16)]) -> Successors {
    let mut rows = Successors::default();
    for (block, offset) in places {
        rows.insert((*block, *offset), (block / 2, offset + 1));
    }
    rows
}

#[test]
fn whole_pages_cost_one_line() {
    let tuples: Tuples = (0..100).flat_map(|block| (1..=61).map(move |offset| (block, offset))).collect();
    let mut odd: Tuples = [(7, 3), (7, 1), (7, 2), (7, 9)].into_iter().collect();
    assert!(!odd.insert(7, 2));
    let mut became = Successors::default();
    became.insert((7, 1), (9, 4));
    became.insert((7, 2), (9, 5));
    let set = ExactSet {
        transactions: vec![734, 736],
        commit: Lsn(0x212_9F48),
        tables: [(table("orders"), tuples), (table("a\nb"), odd.clone())].into(),
        emptied: [table("orders")].into(),
        changed: [(table("notes"), odd.clone())].into(),
        became: [(table("notes"), became)].into(),
        objects: odd,
        unplaced: [(table("orders"), 2)].into(),
        outdated: [(table("orders"), 7)].into(),
    };
    insta::assert_snapshot!(set.print());
    assert_eq!(set.rows(), 6104);
}

#[test]
fn a_damaged_file_is_refused_with_its_line() {
    let check = |text: &str, expect: &str| assert_eq!(ExactSet::parse(text), Err(expect.to_owned()), "{text}");
    check("", "the first line is missing");
    check("lifeboat-exact-set 3\n", "the first line is not `lifeboat-exact-set 2`");
    check("lifeboat-exact-set 1\nxid x\n", "line 2: no xid");
    check("lifeboat-exact-set 2\ntransactions\n", "line 2: no xid");
    check("lifeboat-exact-set 2\ntransactions 7,\n", "line 2: no xid");
    check("lifeboat-exact-set 2\ntransactions 7\n", "the commit is missing");
    let head = "lifeboat-exact-set 2\ntransactions 7\ncommit 0/1\n";
    check(&format!("{head}0:1\n"), "line 4: `0:1`");
    check(&format!("{head}objects of mine\n"), "line 4: `objects of mine`");
    check(&format!("{head}unplaced x {{}}\n"), "line 4: `unplaced x {}`");
    check(&format!("{head}table {{\"schema\":\"s\",\"name\":\"t\"}}\n0:2-1\n"), "line 5: `0:2-1`");
}

#[test]
fn a_file_of_the_first_format_is_one_transaction() {
    let text = "lifeboat-exact-set 1\nxid 7\ncommit 0/1\ntable {\"schema\":\"public\",\"name\":\"t\"}\n0:1-2\n";
    let places = [(0, 1), (0, 2)].into_iter().collect();
    let tables = [(table("t"), places)].into();
    let expect = ExactSet { tables, ..ExactSet::empty(vec![7], Lsn(1)) };
    assert_eq!(ExactSet::parse(text), Ok(expect));
}

#[test]
fn batches_are_literals() {
    let tuples: Tuples = [(0, 1), (0, 2), (5, 7)].into_iter().collect();
    let batches: Vec<_> = tuples.batches(2).collect();
    assert_eq!(batches, [("{\"(0,1)\",\"(0,2)\"}".to_owned(), 2), ("{\"(5,7)\"}".to_owned(), 1)]);
    assert_eq!(Tuples::default().batches(2).count(), 0);
}

/// The places of `{"(0,1)","(0,2)"}`.
fn read_literal(literal: &str) -> Vec<(u32, u16)> {
    let inner = literal.strip_prefix("{\"(").and_then(|rest| rest.strip_suffix(")\"}")).expect("an array");
    let place = |text: &str| {
        let (block, offset) = text.split_once(',').expect("a place");
        (block.parse().expect("a block"), offset.parse().expect("an offset"))
    };
    inner.split(")\",\"(").map(place).collect()
}

fn places() -> impl Strategy<Value = Vec<(u32, u16)>> {
    prop::collection::vec((0_u32..6, 1_u16..12), 0..80)
}

proptest! {
    #[test]
    fn it_is_a_set(places in places()) {
        let tuples: Tuples = places.iter().copied().collect();
        let model: BTreeSet<_> = places.iter().copied().collect();
        prop_assert_eq!(tuples.len(), model.len() as u64);
        for (block, offset) in (0..7).flat_map(|block| (0..13).map(move |offset| (block, offset))) {
            prop_assert_eq!(tuples.contains(block, offset), model.contains(&(block, offset)));
        }
        prop_assert_eq!(tuples.iter().collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn order_does_not_matter(places in places(), seed: u64) {
        let mut other = places.clone();
        if !other.is_empty() {
            let middle = usize::try_from(seed % other.len() as u64).expect("small");
            other.rotate_left(middle);
        }
        prop_assert_eq!(places.into_iter().collect::<Tuples>(), other.into_iter().collect::<Tuples>());
    }

    #[test]
    fn a_printed_set_parses(
        transactions in prop::collection::vec(any::<u32>(), 1..4),
        commit: u64,
        tables in prop::collection::btree_map("\\PC{1,10}", places(), 0..4),
        changed in prop::collection::btree_map("\\PC{1,10}", places(), 0..3),
        became in prop::collection::btree_map("\\PC{1,10}", places(), 0..3),
        objects in places(),
        unplaced in prop::collection::btree_map("\\PC{1,10}", any::<u64>(), 0..3),
        outdated in prop::collection::btree_map("\\PC{1,10}", any::<u64>(), 0..3),
    ) {
        let named = |tables: BTreeMap<String, Vec<(u32, u16)>>| {
            tables.into_iter().map(|(name, places)| (table(&name), places.into_iter().collect())).collect()
        };
        let counted = |counts: BTreeMap<String, u64>| {
            counts.into_iter().map(|(name, count)| (table(&name), count)).collect()
        };
        let set = ExactSet {
            transactions,
            commit: Lsn(commit),
            emptied: tables.keys().take(1).map(|name| table(name)).collect(),
            tables: named(tables),
            changed: named(changed),
            became: became.into_iter().map(|(name, places)| (table(&name), moved(&places))).collect(),
            objects: objects.into_iter().collect(),
            unplaced: counted(unplaced),
            outdated: counted(outdated),
        };
        prop_assert_eq!(ExactSet::parse(&set.print()), Ok(set));
    }

    #[test]
    fn batches_hold_everything_once(places in places(), size in 1_usize..9) {
        let tuples: Tuples = places.into_iter().collect();
        let batches: Vec<_> = tuples.batches(size).collect();
        let read: Vec<_> = batches.iter().map(|(literal, _)| read_literal(literal)).collect();
        prop_assert_eq!(read.concat(), tuples.iter().collect::<Vec<_>>());
        for ((_, count), read) in batches.iter().zip(&read) {
            prop_assert_eq!(*count, read.len() as u64);
            prop_assert!(*count <= size as u64);
        }
    }
}
