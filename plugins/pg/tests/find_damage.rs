//! `pg/find-damage` against a scripted archive.

mod scripted;

use lifeboat_plugin::{Failure, fake::Fake};
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
    assert_eq!(found["set_digest"], plugin_pg::exact_set::digest(set.as_bytes()));
}

#[test]
fn the_archive_is_read_three_times_and_little_is_printed() {
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

const EVEN: &str = "\
rmgr: Heap        len (rec/tot):     54/    54, tx:        700, lsn: 0/01000028, prev 0/00000028, desc: DELETE off 1 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Transaction len (rec/tot):     34/    34, tx:        700, lsn: 0/01000060, prev 0/01000028, desc: COMMIT 2026-11-21 03:30:00.000000 UTC
rmgr: Heap        len (rec/tot):     54/    54, tx:        701, lsn: 0/01000088, prev 0/01000060, desc: DELETE off 2 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Transaction len (rec/tot):     34/    34, tx:        701, lsn: 0/010000C0, prev 0/01000088, desc: COMMIT 2026-11-21 03:31:00.000000 UTC";

const TRUNCATED: &str = "\
rmgr: Storage     len (rec/tot):     42/    42, tx:        750, lsn: 0/01000028, prev 0/00000028, desc: CREATE base/5/100
rmgr: Transaction len (rec/tot):    206/   206, tx:        750, lsn: 0/01000060, prev 0/01000028, desc: COMMIT 2026-11-21 03:30:00.000000 UTC; rels: base/5/99; inval msgs: catcache 55";

#[test]
fn a_guess_is_never_made() {
    let failure = run(&archive(EVEN), "find-damage", &parameters()).expect_err("two alike");
    assert_eq!(failure.code(), "pg-damage-ambiguous");
    insta::assert_snapshot!(failure.reason().message);
}

#[test]
fn a_truncated_table_is_recognised() {
    let failure = run(&archive(TRUNCATED), "find-damage", &parameters()).expect_err("no rows to name");
    assert_eq!(failure.code(), "pg-table-rewritten");
    insta::assert_snapshot!(failure.reason().message);
}
