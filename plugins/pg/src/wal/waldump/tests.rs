//! Real lines of PostgreSQL 15, lines in the format of 16 and later, and a printer for both against the parser.

use proptest::prelude::*;

use super::*;

const FIFTEEN: &str = include_str!("../../../samples/waldump-15.txt");
const SEVENTEEN: &str = include_str!("../../../samples/waldump-17.txt");

#[test]
fn every_line_of_the_samples_is_a_record() {
    for (name, sample) in [("15", FIFTEEN), ("17", SEVENTEEN)] {
        let records: Vec<String> = sample
            .lines()
            .map(|line| parse(line).map_or_else(|| format!("not understood: {line}"), |record| format!("{record:?}")))
            .collect();
        insta::assert_snapshot!(format!("waldump_{name}"), records.join("\n"));
    }
}

#[test]
fn what_is_no_record_is_none() {
    for line in
        ["", "pg_waldump: error: x", "rmgr: Heap", "rmgr: Heap len (rec/tot): 1/1, tx: x, lsn: 0/1, desc: DELETE"]
    {
        assert_eq!(parse(line), None, "{line}");
    }
}

#[test]
fn a_list_that_was_cut_is_no_record() {
    let line = |end: &str| {
        let many = " 12345678".repeat(LINE_BYTES_MAX / 9);
        let text =
            format!("{}COMMIT 2026-11-21 03:55:29.073844 UTC; subxacts:{many}{end}", head("Transaction", 7, Lsn(1)));
        text[..LINE_BYTES_MAX].to_owned()
    };
    assert_eq!(parse(&line("")), None);
    let short = line("").replace(" 12345678 12345678 12345678", "");
    assert!(parse(&short).is_some());
}

#[test]
fn offsets_that_version_16_prints_are_read() {
    let line = |text: &str| format!("{}{text}, blkref #0: rel 1663/5/100 blk 4", head("Heap2", 7, Lsn(1)));
    let check = |text: &str, expect: Option<&[u16]>| {
        let found = parse(&line(text)).map(|record| record.kind);
        let file = Filenode { tablespace: 1663, database: 5, node: 100 };
        let expect = Kind::InsertMany { file, block: 4, offsets: expect.map(<[u16]>::to_vec) };
        assert_eq!(found, Some(expect), "{text}");
    };
    check("MULTI_INSERT+INIT ntuples: 3, flags: 0x02", Some(&[1, 2, 3]));
    check("MULTI_INSERT ntuples: 3, flags: 0x02, offsets: [6, 8, 9]", Some(&[6, 8, 9]));
    check("MULTI_INSERT ntuples: 3, flags: 0x02", None);
    check("MULTI_INSERT 3 tuples flags 0x02", None);
    check("MULTI_INSERT+INIT 3 tuples flags 0x22", Some(&[1, 2, 3]));
    assert_eq!(parse(&line("MULTI_INSERT ntuples: 3, flags: 0x02, offsets: [6, 8]")), None);
}

#[derive(Debug, Clone, Copy)]
enum Style {
    Fifteen,
    Sixteen,
}

fn head(manager: &str, xid: u32, lsn: Lsn) -> String {
    let (high, low) = (lsn.0 >> 32, lsn.0 & 0xFFFF_FFFF);
    format!(
        "rmgr: {manager:<11} len (rec/tot):     54/    54, tx: {xid:>10}, lsn: {high:X}/{low:08X}, prev 0/00000028, desc: "
    )
}

fn page(number: u32, place: &Place) -> String {
    format!(", blkref #{number}: rel {} blk {}", place.file, place.block)
}

fn print(record: &Record, style: Style) -> String {
    let manager = match record.kind {
        Kind::Commit { .. } | Kind::Abort { .. } => "Transaction",
        Kind::Create { .. } => "Storage",
        Kind::Running { .. } | Kind::Lock(_) => "Standby",
        Kind::InsertMany { .. } => "Heap2",
        _ => "Heap",
    };
    head(manager, record.xid, record.lsn) + &describe(&record.kind, style)
}

fn describe(kind: &Kind, style: Style) -> String {
    let list = |name: &str, numbers: &[u32]| {
        let items: Vec<_> = numbers.iter().map(u32::to_string).collect();
        if items.is_empty() { String::new() } else { format!("; {name}: {}", items.join(" ")) }
    };
    match (kind, style) {
        (Kind::Insert(at), Style::Fifteen) => format!("INSERT off {} flags 0x08{}", at.offset, page(0, at)),
        (Kind::Insert(at), Style::Sixteen) => format!("INSERT+INIT off: {}, flags: 0x08{}", at.offset, page(0, at)),
        (Kind::Delete(at), style) => deletion(at, "00", style),
        (Kind::TakeBack(at), style) => deletion(at, "08", style),
        (Kind::MoveAway(at), style) => deletion(at, "11", style),
        (Kind::InsertMany { file, block, offsets }, style) => insertions(*file, *block, offsets.as_deref(), style),
        (Kind::Running { next_xid }, _) => {
            format!("RUNNING_XACTS nextXid {next_xid} latestCompletedXid 9 oldestRunningXid 9; 2 xacts: 11 12")
        }
        (Kind::Lock(tables), _) => {
            let items: Vec<_> = tables.iter().map(|(db, rel)| format!("xid 7 db {db} rel {rel} ")).collect();
            format!("LOCK {}", items.concat())
        }
        (Kind::Update { old, new }, Style::Fifteen) => {
            let pages = if old.block == new.block { page(0, new) } else { page(0, new) + &page(1, old) };
            format!("UPDATE off {} xmax 9 flags 0x00 ; new off {} xmax 0{pages}", old.offset, new.offset)
        }
        (Kind::Update { old, new }, Style::Sixteen) => {
            let pages = if old.block == new.block { page(0, new) } else { page(0, new) + &page(1, old) };
            let (old, new) = (old.offset, new.offset);
            format!(
                "UPDATE old_xmax: 9, old_off: {old}, old_infobits: [], flags: 0x00, new_xmax: 0, new_off: {new}{pages}"
            )
        }
        (Kind::Truncate(relations), style) => {
            let items: Vec<_> = relations.iter().map(u32::to_string).collect();
            match style {
                Style::Fifteen => format!("TRUNCATE nrelids {} relids {}", items.len(), items.join(" ")),
                Style::Sixteen => format!("TRUNCATE nrelids: {}, relids: [{}]", items.len(), items.join(", ")),
            }
        }
        (Kind::Create { database, node }, _) => format!("CREATE base/{database}/{node}"),
        (Kind::Commit { time, subtransactions, dropped }, _) => {
            let files: Vec<_> = dropped.iter().map(|node| format!("base/5/{node}")).collect();
            let files = if files.is_empty() { String::new() } else { format!("; rels: {}", files.join(" ")) };
            format!("COMMIT {time}{files}{}; inval msgs: catcache 55", list("subxacts", subtransactions))
        }
        (Kind::Abort { subtransactions }, _) => {
            format!("ABORT 2026-11-21 03:55:28.886027 UTC{}", list("subxacts", subtransactions))
        }
        (Kind::Other, _) => "LOCK off 99: xid 736: flags 0x00 LOCK_ONLY EXCL_LOCK ".to_owned(),
    }
}

fn deletion(at: &Place, flags: &str, style: Style) -> String {
    let (off, page) = (at.offset, page(0, at));
    match style {
        Style::Fifteen => format!("DELETE off {off} flags 0x{flags} KEYS_UPDATED {page}"),
        Style::Sixteen => format!("DELETE xmax: 7, off: {off}, infobits: [KEYS_UPDATED], flags: 0x{flags}{page}"),
    }
}

/// Version 15 never prints offsets: they are known only where the page is new.
fn insertions(file: Filenode, block: u32, offsets: Option<&[u16]>, style: Style) -> String {
    let page = page(0, &Place { file, block, offset: 1 });
    let count = offsets.map_or(3, <[u16]>::len);
    let is_new = offsets.is_some_and(|offsets| offsets.iter().copied().eq(1..=count as u16));
    match (style, offsets) {
        (Style::Fifteen, Some(_)) => format!("MULTI_INSERT+INIT {count} tuples flags 0x02{page}"),
        (Style::Fifteen, None) => format!("MULTI_INSERT {count} tuples flags 0x02{page} FPW"),
        (Style::Sixteen, Some(_)) if is_new => format!("MULTI_INSERT+INIT ntuples: {count}, flags: 0x02{page}"),
        (Style::Sixteen, Some(offsets)) => {
            let list: Vec<_> = offsets.iter().map(u16::to_string).collect();
            format!("MULTI_INSERT ntuples: {count}, flags: 0x02, offsets: [{}]{page}", list.join(", "))
        }
        (Style::Sixteen, None) => format!("MULTI_INSERT ntuples: {count}, flags: 0x02{page} FPW"),
    }
}

fn places() -> impl Strategy<Value = Place> {
    (1_u32.., 1_u32.., 1_u32.., any::<u32>(), 1_u16..).prop_map(|(tablespace, database, node, block, offset)| Place {
        file: Filenode { tablespace, database, node },
        block,
        offset,
    })
}

fn kinds() -> impl Strategy<Value = Kind> {
    let numbers = || prop::collection::vec(any::<u32>(), 0..5);
    prop_oneof![
        places().prop_map(Kind::Insert),
        places().prop_map(Kind::Delete),
        places().prop_map(Kind::TakeBack),
        places().prop_map(Kind::MoveAway),
        any::<u32>().prop_map(|next_xid| Kind::Running { next_xid }),
        prop::collection::vec(any::<(u32, u32)>(), 1..5).prop_map(Kind::Lock),
        (places(), prop::option::of(1_u16..300)).prop_map(|(Place { file, block, .. }, count)| Kind::InsertMany {
            file,
            block,
            offsets: count.map(|count| (1..=count).collect()),
        }),
        (places(), any::<u32>(), 1_u16..)
            .prop_map(|(old, block, offset)| Kind::Update { old, new: Place { file: old.file, block, offset } }),
        prop::collection::vec(any::<u32>(), 1..5).prop_map(Kind::Truncate),
        (any::<u32>(), any::<u32>()).prop_map(|(database, node)| Kind::Create { database, node }),
        (numbers(), numbers()).prop_map(|(subtransactions, dropped)| Kind::Commit {
            time: "2026-11-21 03:55:29.073844 UTC".to_owned(),
            subtransactions,
            dropped
        }),
        numbers().prop_map(|subtransactions| Kind::Abort { subtransactions }),
        Just(Kind::Other),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_is_parsed(xid: u32, lsn: u64, kind in kinds(), sixteen: bool) {
        let record = Record { xid, lsn: Lsn(lsn), kind };
        let line = print(&record, if sixteen { Style::Sixteen } else { Style::Fifteen });
        prop_assert_eq!(parse(&line), Some(record), "{}", line);
    }

    #[test]
    fn no_line_is_too_odd(line in "\\PC{0,200}") {
        let _ = parse(&line);
        let _ = parse(&format!("rmgr: Heap len 1, tx: 5, lsn: 0/1, prev 0/0, desc: DELETE {line}"));
        let _ = parse(&format!("rmgr: Transaction len 1, tx: 5, lsn: 0/1, prev 0/0, desc: COMMIT {line}"));
    }
}
