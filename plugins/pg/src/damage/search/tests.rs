use lifeboat_plugin::{
    Effect,
    fake::{Fake, ended},
};

use super::*;
use crate::{
    server::identifier::TableName,
    wal::{
        archive::Archive,
        segment::{Segment, SegmentSize},
        timeline::Chain,
    },
};

const FILE: Filenode = Filenode { tablespace: 1663, database: 5, node: 16_416 };

/// Segments 2 to 7 of 1 MiB. Transaction 7 removes a row and commits in segment 3.
fn archive() -> Archive {
    Archive {
        path: "/archive".to_owned(),
        chain: Chain::of(1),
        segments: (2..=7).map(|number| Segment { number, timeline: 1 }).collect(),
        modified_ms: vec![0; 6],
        segment_size: SegmentSize::new(1 << 20).expect("a size"),
        odd: Vec::new(),
        packed: Vec::new(),
    }
}

fn line(manager: &str, xid: u32, megabyte: u64, offset: u64, description: &str) -> (u64, &'static str, String) {
    let lsn = (megabyte << 20) + offset;
    let text = format!(
        "rmgr: {manager:<11} len (rec/tot):     54/    54, tx: {xid:>10}, lsn: 0/{lsn:08X}, prev 0/00000028, desc: {description}"
    );
    (megabyte, if manager == "Heap" { "Heap" } else { "Other" }, text)
}

fn machine() -> Fake {
    let fake = Fake::default();
    fake.machine.add_folder("archive", "/archive").expect("a folder");
    fake.machine.add_program("pg_waldump", Effect::Read, |_, call| {
        let [.., first, last] = call.arguments.as_slice() else { panic!("no segments: {call:?}") };
        let number = |name: &str| u64::from_str_radix(&name[16..], 16).expect("a segment");
        let range = number(first)..=number(last);
        let wants = if call.arguments.iter().any(|argument| argument == "Heap") { "Heap" } else { "Other" };
        let lines = [
            line("Standby", 0, 2, 0x100, "RUNNING_XACTS nextXid 6 latestCompletedXid 5 oldestRunningXid 6"),
            line("Heap", 7, 3, 0x100, &format!("DELETE off 3 flags 0x00 KEYS_UPDATED , blkref #0: rel {FILE} blk 0")),
            line("Transaction", 7, 3, 0x200, "COMMIT 2026-11-21 03:55:30.000000 UTC"),
        ];
        let met = lines.iter().filter(|(megabyte, kind, _)| range.contains(megabyte) && *kind == wants);
        let printed: Vec<_> = match call.arguments[0].starts_with("--stats") {
            true => met.map(|_| "Heap/DELETE 1".to_owned()).collect(),
            false => met.map(|(_, _, text)| text.clone()).collect(),
        };
        ended(0, &printed.join("\n"), "")
    });
    fake
}

fn moment(second: u32) -> Moment {
    Moment { ms: u64::from(second) * 1_000, text: format!("2026-11-21 03:55:{second:02}.000000") }
}

/// The number of the last segment that was read, and who did it.
fn search(end: usize) -> (u64, Option<u32>) {
    let (caps, archive) = (machine(), archive());
    let since = moment(20);
    let range = Range {
        flush: since.clone(),
        near: since.clone(),
        far: since.clone(),
        until: Some(moment(40)),
        since,
        first: 1,
        far_first: 1,
        end,
    };
    let table = TableName { schema: "public".to_owned(), name: "t".to_owned() };
    let files = [TableFile { table, file: FILE, logged: true }];
    let reader = Reader { caps: &caps, machine: "m", archive: &archive };
    let search = Search { reader, range: &range, files: &files, wanted: &Wanted::Largest, sought: Sought::Removed };
    let xid = match search.culprit("t").expect("a search") {
        Finding::Culprit(culprit) => Some(culprit.transactions[0].xid),
        _ => None,
    };
    let last = |arguments: &[String]| arguments.last().and_then(|name| u64::from_str_radix(&name[16..], 16).ok());
    let read = caps.machine.invocations().iter().filter_map(|call| last(&call.arguments)).max();
    (read.expect("a program ran"), xid)
}

#[test]
fn what_committed_long_after_the_range_is_read_only_where_nothing_was_found() {
    assert_eq!(search(2), (3, Some(7)));
    assert_eq!(search(4), (5, Some(7)));
    // The range was wrong, or the clock.
    assert_eq!(search(1), (7, Some(7)));
}
