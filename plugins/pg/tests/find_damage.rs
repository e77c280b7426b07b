//! `pg/find-damage` against a scripted archive.

mod scripted;

use lifeboat_plugin::{
    Failure,
    fake::{Fake, rows},
};
use scripted::{IDENTIFIER, archive_segment, cluster, outputs, run, waldump};
use serde_json::{Value, json};

const WAL: &str = include_str!("../samples/history.txt");

fn parameters() -> Value {
    json!({ "server": "primary", "machine": "recovery", "table": "account", "since": "2026-11-21T03:00:00Z" })
}

fn archive(lines: &'static str) -> Fake {
    let fake = cluster();
    for number in 1..=3 {
        archive_segment(&fake, number, IDENTIFIER);
    }
    waldump(&fake, lines);
    fake
}

#[test]
fn the_transaction_and_its_exact_rows_are_found() {
    let fake = archive(WAL);
    let outcome = run(&fake, "find-damage", &parameters()).expect("the damage");
    let found = outputs(&outcome);
    let path = found["set_file"].as_str().expect("a path").to_owned();
    let set = String::from_utf8(fake.machine.files().read(&path).expect("the file")).expect("text");
    let pretty = serde_json::to_string_pretty(&found).expect("JSON");
    insta::assert_snapshot!(format!("{}\n{pretty}\n{set}", outcome.summary));
    assert_eq!(found["set_digest"], plugin_pg::call::digest::of(set.as_bytes()));
}

#[test]
fn the_archive_is_read_twice_at_once_and_little_is_printed() {
    let fake = archive(WAL);
    run(&fake, "find-damage", &parameters()).expect("the damage");
    let lines: Vec<_> = fake.machine.invocations().iter().map(|invocation| invocation.line()).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

fn code(fake: &Fake, parameters: &Value) -> String {
    run(fake, "find-damage", parameters).err().map_or("found".to_owned(), |failure: Failure| failure.code().to_owned())
}

#[test]
fn every_way_not_to_find_it_has_a_code() {
    let with = |key: &str, value: Value| {
        let mut parameters = parameters();
        parameters[key] = value;
        parameters
    };
    assert_eq!(code(&archive(WAL), &parameters()), "found");
    assert_eq!(code(&archive(WAL), &with("xid", json!(734))), "found");
    assert_eq!(code(&archive(WAL), &with("xid", json!(999))), "pg-xid-not-found");
    assert_eq!(code(&archive(WAL), &with("since", json!("2026-11-21T05:00:00Z"))), "pg-no-damage-found");
    assert_eq!(code(&archive(""), &parameters()), "pg-no-damage-found");
    let unmarked = WAL.split_once('\n').expect("lines").1;
    assert_eq!(code(&archive(unmarked), &parameters()), "pg-wal-begins-too-late");
}

#[test]
fn a_bad_archive_has_a_code() {
    let fake = cluster();
    waldump(&fake, WAL);
    assert_eq!(code(&fake, &parameters()), "pg-archive-empty");
    archive_segment(&fake, 1, IDENTIFIER);
    archive_segment(&fake, 3, IDENTIFIER);
    assert_eq!(code(&fake, &parameters()), "pg-wal-gap");
    archive_segment(&fake, 1, 7);
    archive_segment(&fake, 2, 7);
    assert_eq!(code(&fake, &parameters()), "pg-wal-foreign");
}

/// Transaction 700 begins in segment 2 and ends in segment 5; another one commits in segment 4, just before `since`.
const LONG: &str = "\
rmgr: Standby     len (rec/tot):     50/    50, tx:          0, lsn: 0/00100028, prev 0/000FFF00, desc: RUNNING_XACTS nextXid 690 latestCompletedXid 689 oldestRunningXid 690
rmgr: Heap        len (rec/tot):     54/    54, tx:        700, lsn: 0/00200028, prev 0/00100028, desc: DELETE off 1 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Heap        len (rec/tot):     54/    54, tx:        700, lsn: 0/00200060, prev 0/00200028, desc: DELETE off 2 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Heap        len (rec/tot):     54/    54, tx:        701, lsn: 0/00200098, prev 0/00200060, desc: DELETE off 9 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Transaction len (rec/tot):     34/    34, tx:        701, lsn: 0/002000D0, prev 0/00200098, desc: COMMIT 2026-11-21 02:30:00.000000 UTC
rmgr: Standby     len (rec/tot):     50/    50, tx:          0, lsn: 0/00300028, prev 0/002000D0, desc: RUNNING_XACTS nextXid 702 latestCompletedXid 701 oldestRunningXid 700; 1 xacts: 700
rmgr: Transaction len (rec/tot):     34/    34, tx:        703, lsn: 0/00400028, prev 0/00300028, desc: COMMIT 2026-11-21 02:45:00.000000 UTC
rmgr: Heap        len (rec/tot):     54/    54, tx:        705, lsn: 0/00500028, prev 0/00400028, desc: DELETE off 1 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 7
rmgr: Transaction len (rec/tot):     34/    34, tx:        705, lsn: 0/00500060, prev 0/00500028, desc: COMMIT 2026-11-21 03:29:00.000000 UTC
rmgr: Heap        len (rec/tot):     54/    54, tx:        700, lsn: 0/00500088, prev 0/00500060, desc: DELETE off 3 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Heap        len (rec/tot):     54/    54, tx:        700, lsn: 0/005000C0, prev 0/00500088, desc: DELETE off 4 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Heap        len (rec/tot):     54/    54, tx:        700, lsn: 0/005000F8, prev 0/005000C0, desc: DELETE off 5 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Heap        len (rec/tot):     54/    54, tx:        700, lsn: 0/00500130, prev 0/005000F8, desc: DELETE off 6 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Transaction len (rec/tot):     34/    34, tx:        700, lsn: 0/00500168, prev 0/00500130, desc: COMMIT 2026-11-21 03:30:00.000000 UTC";

fn long_ago(segments: &[u64]) -> Fake {
    let fake = cluster();
    for number in segments {
        // `since` is second 1.
        fake.machine.files().set_clock_ms(if *number < 5 { 500 } else { 2_000 });
        archive_segment(&fake, *number, IDENTIFIER);
    }
    waldump(&fake, LONG);
    fake
}

#[test]
fn a_transaction_that_began_long_before_is_found_whole() {
    let fake = long_ago(&[1, 2, 3, 4, 5]);
    let found = outputs(&run(&fake, "find-damage", &parameters()).expect("the damage"));
    let set = fake.machine.files().read(found["set_file"].as_str().expect("a path")).expect("the file");
    let lines: Vec<_> = fake.machine.invocations().iter().map(|invocation| invocation.line()).collect();
    let seen = ["xid", "rows", "first_lsn", "segments", "candidates"].map(|name| format!("{name}: {}", found[name]));
    insta::assert_snapshot!([lines, seen.to_vec(), vec![String::from_utf8(set).expect("text")]].concat().join("\n"));
}

#[test]
fn an_archive_that_begins_too_late_is_no_ground_for_an_exact_set() {
    let with = |xid: i64| {
        let mut parameters = parameters();
        parameters["xid"] = json!(xid);
        parameters
    };
    assert_eq!(code(&long_ago(&[1, 2, 3, 4, 5]), &with(700)), "found");
    for segments in [vec![2, 3, 4, 5], vec![4, 5], vec![1, 3, 4, 5]] {
        assert_eq!(code(&long_ago(&segments), &with(700)), "pg-wal-begins-too-late", "{segments:?}");
    }
    let failure = run(&long_ago(&[1, 3, 4, 5]), "find-damage", &with(700)).expect_err("a gap");
    insta::assert_snapshot!(failure.reason().message);
    // What began later is not concerned.
    assert_eq!(code(&long_ago(&[3, 4, 5]), &with(705)), "found");
}

const EVEN: &str = "\
rmgr: Heap        len (rec/tot):     54/    54, tx:        700, lsn: 0/00100028, prev 0/00000028, desc: DELETE off 1 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Transaction len (rec/tot):     34/    34, tx:        700, lsn: 0/00100060, prev 0/00100028, desc: COMMIT 2026-11-21 03:30:00.000000 UTC
rmgr: Heap        len (rec/tot):     54/    54, tx:        701, lsn: 0/00100088, prev 0/00100060, desc: DELETE off 2 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Transaction len (rec/tot):     34/    34, tx:        701, lsn: 0/001000C0, prev 0/00100088, desc: COMMIT 2026-11-21 03:31:00.000000 UTC";

const TRUNCATED: &str = "\
rmgr: Standby     len (rec/tot):     50/    50, tx:          0, lsn: 0/00100028, prev 0/00000028, desc: RUNNING_XACTS nextXid 740 latestCompletedXid 739 oldestRunningXid 740
rmgr: Storage     len (rec/tot):     42/    42, tx:        750, lsn: 0/00100060, prev 0/00100028, desc: CREATE base/5/100
rmgr: Transaction len (rec/tot):    206/   206, tx:        750, lsn: 0/00100200, prev 0/00100060, desc: COMMIT 2026-11-21 03:30:00.000000 UTC; rels: base/5/99; inval msgs: catcache 55";

/// Rows, or whole pages of them, that the same transaction wrote into the new file.
const WRITTEN: [&str; 2] = [
    "rmgr: XLOG        len (rec/tot):     49/  8241, tx:        750, lsn: 0/00100098, prev 0/00100060, desc: FPI , blkref #0: rel 1663/5/100 blk 0 FPW",
    "rmgr: Heap        len (rec/tot):     59/    59, tx:        750, lsn: 0/00100098, prev 0/00100060, desc: INSERT off 1 flags 0x00, blkref #0: rel 1663/5/100 blk 0",
];

fn emptied(lines: &'static str) -> Fake {
    let fake = archive(lines);
    fake.postgres.on("a.attname = 'ctid'", |_| Ok(rows(&["schema", "name"], vec![])));
    fake
}

#[test]
fn a_guess_is_never_made() {
    let failure = run(&archive(EVEN), "find-damage", &parameters()).expect_err("two alike");
    assert_eq!(failure.code(), "pg-damage-ambiguous");
    insta::assert_snapshot!(failure.reason().message);
}

#[test]
fn an_emptied_table_is_a_set_of_whole_tables() {
    let fake = emptied(TRUNCATED);
    let found = outputs(&run(&fake, "find-damage", &parameters()).expect("the damage"));
    let set = fake.machine.files().read(found["set_file"].as_str().expect("a path")).expect("the file");
    let seen = ["xid", "damage", "rows_total", "emptied", "candidates_text", "changes_text"];
    let seen: Vec<String> = seen.iter().map(|name| format!("{name}: {}", found[*name])).collect();
    insta::assert_snapshot!(format!("{}\n{}", seen.join("\n"), String::from_utf8(set).expect("text")));
    // Values of rows that are gone are not what is looked for.
    let with = |key: &str, value: Value| {
        let mut parameters = parameters();
        parameters[key] = value;
        code(&emptied(TRUNCATED), &parameters)
    };
    assert_eq!(with("damage", json!("any")), "found");
    assert_eq!(with("damage", json!("changed")), "pg-table-rewritten");
    assert_eq!(with("xid", json!(750)), "found");
    assert_eq!(with("xid", json!(751)), "pg-table-rewritten");
}

#[test]
fn a_new_file_with_rows_is_no_emptied_table() {
    for written in WRITTEN {
        let (head, commit) = TRUNCATED.rsplit_once('\n').expect("lines");
        let lines: &'static str = format!("{head}\n{written}\n{commit}").leak();
        let failure = run(&emptied(lines), "find-damage", &parameters()).expect_err("no rows to name");
        assert_eq!(failure.code(), "pg-table-rewritten", "{written}");
    }
}

#[test]
fn a_packed_archive_in_folders_is_read_through_its_restore_command() {
    let plain = archive(WAL);
    let expect = outputs(&run(&plain, "find-damage", &parameters()).expect("the damage"));
    let fake = archive(WAL);
    for number in 1..=3 {
        let name = format!("0000000100000000{number:08X}");
        let content = fake.machine.files().read(&format!("/archive/{name}")).expect("a segment");
        fake.machine.files().remove(&format!("/archive/{name}"));
        fake.machine.files().create_folder("/archive/0000000100000000").expect("a folder");
        let packed = [b"packed".to_vec(), content].concat();
        fake.machine.files().write(&format!("/archive/0000000100000000/{name}.gz"), &packed).expect("a packed one");
    }
    fake.machine.set_restore_command("archive", |files, name| {
        let packed =
            files.read(&format!("/archive/{}/{name}.gz", &name[..16])).map_err(|_| "is not there".to_owned())?;
        Ok(packed["packed".len()..].to_vec())
    });
    let found = outputs(&run(&fake, "find-damage", &parameters()).expect("the damage"));
    assert_eq!(found, expect);
    let lines: Vec<String> = fake.machine.invocations().iter().map(|invocation| invocation.line()).collect();
    assert!(lines.iter().any(|line| line.starts_with("fetch ")), "{lines:?}");
    let dumps = lines.iter().filter(|line| line.starts_with("pg_waldump"));
    assert!(dumps.clone().count() > 0 && dumps.clone().all(|line| line.contains("-p /work/.fetched ")), "{lines:?}");

    fake.machine.set_restore_command("archive", |_, _| Ok(vec![0; 10]));
    assert_eq!(code(&fake, &parameters()), "pg-wal-damaged");
    fake.machine.set_restore_command("archive", |_, _| Err("ended with 1: no".to_owned()));
    assert_eq!(code(&fake, &parameters()), "pg-wal-unreadable");
}
