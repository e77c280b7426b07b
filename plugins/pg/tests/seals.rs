//! `pg/seal-backup` against a scripted server: which snapshot is sealed, and that a seal is made once.

mod scripted;

use std::{cell::RefCell, rc::Rc};

use lifeboat_plugin::{
    Effect, Failure, Outcome,
    fake::{Answer, Fake, ended, rows},
    postgres::Value as Sql,
    values,
};
use scripted::{IDENTIFIER, SEGMENT_BYTES, archive_segment, cluster, outputs, run, waldump};
use serde_json::json;

const LABEL: &str = "START WAL LOCATION: 0/200028 (file 000000010000000000000002)\nSTART TIME: 2026-11-21 03:00:28 UTC\n\
                     LABEL: daily\nSTART TIMELINE: 1\n";
const MANIFEST: &str = r#"{"Files": [{"Path": "PG_VERSION", "Size": 3}], "WAL-Ranges": [{"Timeline": 1, "Start-LSN": "0/200028", "End-LSN": "0/200100"}]}"#;
/// In the WAL, 736 committed before 735.
const COMMITS: &str = "\
rmgr: Transaction len (rec/tot):     34/    34, tx:        736, lsn: 0/00200200, prev 0/00200100, desc: COMMIT 2026-11-21 03:01:00.000000 UTC
rmgr: Transaction len (rec/tot):     34/    34, tx:        735, lsn: 0/00200300, prev 0/00200200, desc: COMMIT 2026-11-21 03:01:01.000000 UTC
rmgr: Transaction len (rec/tot):     34/    34, tx:        740, lsn: 0/00300060, prev 0/00200300, desc: COMMIT 2026-11-21 03:01:02.000000 UTC";

/// A server with a backup whose snapshots are these, one after the other.
fn sealable(snapshots: &[&'static str]) -> Fake {
    let fake = cluster();
    for number in 2..=3 {
        archive_segment(&fake, number, IDENTIFIER);
    }
    waldump(&fake, COMMITS);
    let files = fake.machine.files();
    files.create_folder("/backups/b1").expect("a folder");
    files.write("/backups/b1/backup_label", LABEL.as_bytes()).expect("a label");
    files.write("/backups/b1/backup_manifest", MANIFEST.as_bytes()).expect("a manifest");
    let control = format!("Database system identifier:           {IDENTIFIER}\n");
    fake.machine.add_program("pg_controldata", Effect::Read, move |_, _| ended(0, &control, ""));
    let left = Rc::new(RefCell::new(snapshots.iter().rev().copied().collect::<Vec<_>>()));
    fake.postgres.on("pg_current_snapshot", move |_| {
        let next = left.borrow_mut().pop().expect("no more snapshots than are scripted");
        Ok(rows(&["snapshot"], vec![values![next]]))
    });
    archives(&fake);
    tables(&fake);
    fake
}

fn archives(fake: &Fake) {
    fake.postgres.on("pg_current_xact_id", |_| Ok(rows(&["xid"], vec![values!["735"]])));
    fake.postgres.on("current_setting($1::text, true)", |_| Ok(rows(&["value"], vec![values!["on"]])));
    fake.postgres
        .on("pg_switch_wal", |_| Ok(rows(&["lsn", "segment"], vec![values!["0/300060", "000000010000000000000003"]])));
    fake.postgres.on("name = $1::text", |_| Ok(rows(&["size"], vec![values![SEGMENT_BYTES as i64]])));
    fake.postgres.on("AS failing FROM pg_stat_archiver", |_| {
        Ok(rows(&["done", "failed", "failing"], vec![values!["000000010000000000000003", "", false]]))
    });
}

fn tables(fake: &Fake) {
    fake.postgres.on("AS as_text", |_| {
        let columns = ["schema", "name", "left_out", "columns", "as_text", "key"];
        let list = |names: &[&str]| Sql::Texts(names.iter().map(|name| (*name).to_owned()).collect());
        let table = |name: &str, left_out: Option<&str>| {
            let mut row = values!["public", name, left_out];
            row.extend([list(&["id", "v"]), list(&[]), Sql::Text("id".to_owned())]);
            row
        };
        Ok(rows(&columns, vec![table("account", None), table("scratch", Some("is unlogged"))]))
    });
    for statement in ["SET LOCAL lock_timeout", "LOCK TABLE ONLY \"public\".\"account\" IN ACCESS SHARE MODE"] {
        fake.postgres.on(statement, |_| Ok(Answer::Count(0)));
    }
    fake.postgres.on("AS low", |_| Ok(rows(&["low", "high"], vec![values![1_i64, 640_i64]])));
    fake.postgres.on("AS hash", |_| {
        Ok(rows(&["number", "rows", "hash"], vec![values![0_i64, 10_i64, "-5"], values![63_i64, 10_i64, "7"]]))
    });
    fake.postgres.on("AS bytes", |_| Ok(rows(&["schema", "name", "column", "bytes"], Vec::new())));
    fake.postgres.on("AS is_superuser", |_| Ok(rows(&["is_superuser"], vec![values![false]])));
    fake.postgres.on("session_user", |_| Ok(rows(&["name", "database"], vec![values!["lifeboat", "app"]])));
    fake.postgres.on("FROM pg_settings", |_| Ok(rows(&["name", "value"], Vec::new())));
    fake.postgres.on("FROM pg_catalog.pg_database", |_| {
        let database = |name: &str| values![name, true, false];
        Ok(rows(&["name", "allowed", "invalid"], vec![database("app"), database("other"), database("template1")]))
    });
}

fn seal(fake: &Fake) -> Result<Outcome, Failure> {
    run(fake, "seal-backup", &json!({ "server": "primary", "machine": "recovery" }))
}

#[test]
fn a_snapshot_that_is_no_point_of_the_wal_is_not_sealed() {
    // The first one sees 735 and not 736, which committed before it.
    let fake = sealable(&["735:737:736", "740:740:"]);
    let outcome = seal(&fake).expect("a seal");
    let expected = json!({
        "backup": "b1", "made": true, "xid": 735, "lsn": "0/200300", "tables": 1, "rows": 20,
        "left_out": ["public.scratch is unlogged", "the database other: a seal has one database", "code and rights: the login is no superuser"],
    });
    assert_eq!(outputs(&outcome), expected);
    let hashed = fake.postgres.statements().iter().filter(|statement| statement.sql.contains("AS hash")).count();
    assert_eq!(hashed, 1, "only what is sealed is read");
    let failure = seal(&sealable(&["735:737:736"; 5])).expect_err("never a point");
    assert_eq!(failure.code(), "pg-seal-raced");
    assert!(matches!(failure, Failure::Transient(_)), "{failure:?}");
}

#[test]
fn a_seal_is_made_once() {
    let fake = sealable(&["740:740:"]);
    seal(&fake).expect("a seal");
    let before = fake.postgres.statements().len();
    let again = seal(&fake).expect("the same seal");
    assert_eq!(outputs(&again)["made"], false);
    assert_eq!(fake.postgres.statements().len(), before, "the server is not asked again");
    fake.machine.files().write("/backups/b1.seal.json", b"{}").expect("changed");
    assert_eq!(seal(&fake).expect_err("damaged").code(), "pg-seal-damaged");
}

/// What only looks must not change anything: the host refuses the transaction of its own, or the switch.
#[test]
fn a_dry_run_seals_nothing() {
    let fake = sealable(&["740:740:"]);
    fake.grant(Effect::Read);
    assert!(matches!(seal(&fake), Err(Failure::Denied(_))));
    assert!(!fake.machine.files().exists("/backups/b1.seal.json"));
}
