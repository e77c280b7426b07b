//! `pg/restore` and `pg/destroy-instance` against a scripted machine: whose copy is touched, and what is left.

mod scripted;

use std::{cell::RefCell, rc::Rc};

use lifeboat_plugin::{
    Effect, Failure,
    fake::{Fake, ended, rows},
    machine::Wall,
    values,
};
use plugin_pg::copy::marker::{Marker, instance_of};
use scripted::{IDENTIFIER, archive_segment, cluster, outputs, run, waldump};
use serde_json::{Value, json};

const COMMIT: &str = "rmgr: Transaction len (rec/tot):     62/    62, tx:        734, lsn: 0/00300060, prev 0/00200028, \
                      desc: COMMIT 2026-11-21 03:55:29.073844 UTC";
const LABEL: &str = "START WAL LOCATION: 0/200028 (file 000000010000000000000002)\nSTART TIME: 2026-11-21 03:00:28 UTC\n\
                     LABEL: daily\nSTART TIMELINE: 1\n";
const MANIFEST: &str = r#"{"Files": [{"Path": "PG_VERSION", "Size": 3}], "WAL-Ranges": [{"Timeline": 1, "Start-LSN": "0/200028", "End-LSN": "0/200100"}]}"#;
const STOPPED: &str = "LOG:  recovery stopping before commit of transaction 734";

fn parameters() -> Value {
    json!({ "machine": "recovery", "server": "primary", "target": { "before_xid": 734 } })
}

/// A cluster with a backup, whose copies come up paused with that log.
fn restorable(log: &'static str) -> Fake {
    let fake = cluster();
    for number in 2..=3 {
        archive_segment(&fake, number, IDENTIFIER);
    }
    waldump(&fake, COMMIT);
    backup(&fake, "b1", LABEL, MANIFEST);
    servers(&fake);
    programs(&fake, log);
    fake
}

fn backup(fake: &Fake, name: &str, label: &str, manifest: &str) {
    let files = fake.machine.files();
    files.create_folder(&format!("/backups/{name}/base/5")).expect("a folder");
    files.write(&format!("/backups/{name}/backup_label"), label.as_bytes()).expect("a label");
    files.write(&format!("/backups/{name}/backup_manifest"), manifest.as_bytes()).expect("a manifest");
}

fn servers(fake: &Fake) {
    fake.postgres.on("FROM pg_tablespace", |_| Ok(rows(&["oid", "folder"], vec![values![16_400_i64, "/srv/live"]])));
    fake.postgres.on("has_foreign_tables", |_| Ok(rows(&["has_foreign_tables"], vec![values![true]])));
    fake.postgres.on("session_user", |_| Ok(rows(&["name", "database"], vec![values!["lifeboat", "app"]])));
    fake.postgres.on("FROM pg_settings", |_| Ok(rows(&["name", "value"], vec![values!["max_connections", 300_i64]])));
    fake.postgres.on("pg_get_wal_replay_pause_state", |_| {
        let columns = ["in_recovery", "paused", "lsn", "time", "version"];
        Ok(rows(&columns, vec![values![true, true, "0/300060", None::<&str>, "15.14"]]))
    });
}

fn programs(fake: &Fake, log: &'static str) {
    let control =
        format!("Database system identifier:           {IDENTIFIER}\nmax_connections setting:              100\n");
    fake.machine.add_program("pg_controldata", Effect::Read, move |_, _| ended(0, &control, ""));
    fake.machine.take_port(54_330);
    fake.machine.add_program("cp", Effect::Mutate, |files, call| {
        let target = call.arguments.last().expect("a target");
        files.create_folder(target).expect("a folder");
        ended(0, "", "")
    });
    fake.machine.add_program("pg_ctl", Effect::Mutate, |_, _| ended(0, "pg_ctl (PostgreSQL) 15.14\n", ""));
    fake.machine.on_start(move |files, server| {
        files.write(&server.data.replace("/data", "/server.log"), log.as_bytes()).expect("a log");
        true
    });
}

fn instance() -> String {
    instance_of("test/restore")
}

#[test]
fn a_copy_is_configured_started_and_recorded() {
    let fake = restorable(STOPPED);
    let outcome = run(&fake, "restore", &parameters()).expect("a copy");
    let folder = format!("/work/{}", instance());
    let read = |name: &str| {
        String::from_utf8(fake.machine.files().read(&format!("{folder}/{name}")).expect(name)).expect("text")
    };
    let programs: Vec<_> = fake.machine.invocations().iter().map(|call| call.line()).collect();
    let pretty = serde_json::to_string_pretty(&outputs(&outcome)).expect("JSON");
    let all = [outcome.summary.clone(), pretty, read("lifeboat-instance.json"), read("data/postgresql.conf")];
    insta::assert_snapshot!(format!("{}\n{}", all.join("\n"), programs.join("\n")));
    assert!(fake.machine.files().exists(&format!("{folder}/data/recovery.signal")));
}

#[test]
fn the_same_call_again_returns_the_same_copy() {
    let fake = restorable(STOPPED);
    let first = run(&fake, "restore", &parameters()).expect("a copy");
    let programs = fake.machine.invocations().len();
    let second = run(&fake, "restore", &parameters()).expect("the same copy");
    assert_eq!(outputs(&first), outputs(&second));
    let more: Vec<_> = fake.machine.invocations()[programs..].iter().map(|call| call.line()).collect();
    assert!(more.is_empty(), "{more:?}");
}

#[test]
fn what_a_cut_off_attempt_left_is_replaced() {
    let fake = restorable(STOPPED);
    run(&fake, "restore", &parameters()).expect("a copy");
    let folder = format!("/work/{}", instance());
    fake.machine.files().remove(&format!("{folder}/restored.json"));
    fake.machine.files().write(&format!("{folder}/data/stale"), b"x").expect("a file");
    run(&fake, "restore", &parameters()).expect("a new copy");
    assert!(!fake.machine.files().exists(&format!("{folder}/data/stale")));
}

#[test]
fn a_port_that_is_taken_meanwhile_costs_a_start_and_no_attempt() {
    let fake = restorable(STOPPED);
    fake.machine.set_ports(&[54_330, 54_331, 54_332]);
    let starts = Rc::new(RefCell::new(Vec::new()));
    let seen = starts.clone();
    fake.machine.on_start(move |files, server| {
        let port = server.settings.iter().find(|(name, _)| name == "port").expect("a port").1.clone();
        let busy = port == "54331";
        seen.borrow_mut().push(port);
        let log =
            if busy { "LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use" } else { STOPPED };
        files.write(&server.data.replace("/data", "/server.log"), log.as_bytes()).expect("a log");
        !busy
    });
    let found = outputs(&run(&fake, "restore", &parameters()).expect("a copy"));
    assert_eq!((found["port"].as_i64(), starts.borrow().clone()), (Some(54_332), vec!["54331".into(), "54332".into()]));
    let folder = format!("/work/{}", instance());
    let read = |name: &str| fake.machine.files().read(&format!("{folder}/{name}")).expect(name);
    let marker: Marker = serde_json::from_slice(&read("lifeboat-instance.json")).expect("a marker");
    assert_eq!(marker.port, 54_332);
    assert!(String::from_utf8_lossy(&read("data/postgresql.conf")).contains("port = 54332"));
    // Where none is left, that is what is said.
    let fake = restorable(STOPPED);
    fake.machine.on_start(|files, server| {
        let log = b"LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use";
        files.write(&server.data.replace("/data", "/server.log"), log).expect("a log");
        false
    });
    let failure = run(&fake, "restore", &parameters()).expect_err("no port");
    assert_eq!((failure.code(), matches!(failure, Failure::Transient(_))), ("pg-no-port", true));
}

#[test]
fn every_way_to_fail_has_a_code() {
    let code = |fake: &Fake, parameters: &Value| {
        run(fake, "restore", parameters).err().map_or("fine".to_owned(), |failure: Failure| failure.code().to_owned())
    };
    let target = |target: Value| json!({ "machine": "recovery", "server": "primary", "target": target });
    assert_eq!(code(&restorable(STOPPED), &target(json!({ "before_xid": 9 }))), "pg-xid-not-found");
    assert_eq!(code(&restorable(STOPPED), &target(json!({ "lsn": "0/200001" }))), "pg-no-backup");
    assert_eq!(code(&restorable(STOPPED), &target(json!({ "lsn": "0/900000" }))), "pg-wal-gap");
    let limited = restorable("LOG: hot standby is not possible");
    assert_eq!(code(&limited, &parameters()), "pg-replay-limits");
    assert!(!limited.machine.files().exists(&format!("/work/{}/data", instance())), "a useless copy keeps no space");
    let last = limited.machine.invocations().last().map(|call| call.line()).unwrap_or_default();
    assert!(last.starts_with("stop-server"), "{last}");
    let full = restorable(STOPPED);
    full.machine.files().write("/backups/b1/large", &vec![0; 1 << 20]).expect("a file");
    full.machine.files().set_capacity((3 << 20) + (1 << 19));
    assert_eq!(code(&full, &parameters()), "pg-no-space");
    let mut named = parameters();
    named["backup"] = json!("../b1");
    assert_eq!(code(&restorable(STOPPED), &named), "pg-no-backup");
    let taken = restorable(STOPPED);
    taken.machine.set_ports(&[54_330]);
    taken.machine.take_port(54_330);
    assert_eq!(code(&taken, &parameters()), "pg-no-port");
}

/// A backup of files with all that such a backup can bring along: links, and what belongs to the original's process.
fn linked(links: &[(&str, &str)]) -> Fake {
    let fake = restorable(STOPPED);
    let files = fake.machine.files();
    for (path, target) in links {
        let path = format!("/backups/b1/{path}");
        files.create_folder(path.rsplit_once('/').map_or("", |(above, _)| above)).expect("a folder");
        files.link(&path, target).expect("a link");
    }
    fake
}

#[test]
fn a_link_out_of_the_backup_is_refused_before_anything_is_copied() {
    let check = |links: &[(&str, &str)], code: &str, says: &str| {
        let fake = linked(links);
        let failure = run(&fake, "restore", &parameters()).expect_err("refused");
        assert_eq!(failure.code(), code, "{links:?}");
        assert!(failure.reason().message.contains(says), "{}", failure.reason().message);
        let copied = fake.machine.invocations().iter().any(|call| call.program == "cp");
        assert!(!copied, "{links:?}: copied");
    };
    check(&[("log", "/var/log/postgresql")], "pg-links", "b1/log is a link to /var/log/postgresql");
    check(&[("base/5/16384", "/srv/live/16384")], "pg-links", "/srv/live/16384");
    check(&[("pg_tblspc/16400", "/srv/live")], "pg-tablespaces", "the server uses that folder now");
    check(&[("pg_tblspc/16400", "/elsewhere")], "pg-tablespaces", "tablespace_16400: { path: /elsewhere }");
    check(&[("pg_tblspc/16400", "/backups/b1_ts")], "pg-tablespaces", "it does not exist");
}

#[test]
fn tablespaces_and_a_linked_wal_become_folders_of_the_copy() {
    let fake = linked(&[("pg_tblspc/16400", "/backups/b1_ts"), ("pg_wal", "/srv/live/pg_wal")]);
    fake.machine.files().create_folder("/backups/b1_ts/PG_15_202209061").expect("a folder");
    run(&fake, "restore", &parameters()).expect("a copy");
    let data = format!("/work/{}/data", instance());
    let lines: Vec<_> = fake.machine.invocations().iter().map(|call| call.line()).collect();
    let position =
        |text: &str| lines.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {lines:#?}"));
    let cleared = position("clear");
    assert!(lines[cleared].contains("pg_wal/ ") && lines[cleared].contains("pg_tblspc/16400/"), "{}", lines[cleared]);
    assert!(position("/backups/b1/backup_label") < cleared && position("-T /backups/b1/base/5 ") < cleared);
    assert!(cleared < position(&format!("-T /backups/b1_ts {data}/pg_tblspc/16400")));
}

#[test]
fn a_tablespace_in_the_wal_is_walled_in_or_refused() {
    const CREATE: &str = "rmgr: Tablespace  len (rec/tot):     46/    46, tx:        733, lsn: 0/00300010, prev 0/00200028, \
                          desc: CREATE 16401 \"/srv/ts\"\n\
                          rmgr: Transaction len (rec/tot):     62/    62, tx:        734, lsn: 0/00300060, prev 0/00200028, \
                          desc: COMMIT 2026-11-21 03:55:29.073844 UTC";
    let with = |accept: &[&str], wall: Option<Wall>| {
        let fake = restorable(STOPPED);
        waldump(&fake, CREATE);
        let replaces = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&replaces);
        fake.machine.on_start(move |files, server| {
            files.write(&server.data.replace("/data", "/server.log"), STOPPED.as_bytes()).expect("a log");
            seen.borrow_mut().clone_from(&server.replaces);
            true
        });
        wall.into_iter().for_each(|wall| fake.machine.set_wall(wall));
        let mut parameters = parameters();
        parameters["accept"] = json!(accept);
        let outcome = run(&fake, "restore", &parameters).map_err(|failure| failure.reason().message.clone());
        if outcome.is_err() {
            let copied = fake.machine.invocations().iter().any(|call| call.program == "cp");
            let left = fake.machine.files().exists(&format!("/work/{}", instance()));
            assert!(!copied && !left, "refused before anything is copied, and nothing is left");
        }
        (outcome.map(|outcome| outputs(&outcome)["wall"].clone()), replaces.take())
    };
    let (refused, _) = with(&[], None);
    assert!(
        refused.as_ref().is_err_and(|says| says.contains("/srv/ts") && says.contains("accept: [tablespaces]")),
        "{refused:?}"
    );
    assert_eq!(with(&["tablespaces"], None).0, Ok(json!("none")));
    let wall = Wall {
        name: "bwrap".to_owned(),
        files: true,
        folders: true,
        network: true,
        socket: true,
        lacking: String::new(),
    };
    assert_eq!(with(&[], Some(wall.clone())), (Ok(json!("bwrap")), vec!["/srv/ts".to_owned()]));
    // A wall that gives no folders in their place: replay would end there, whatever is accepted.
    let user = Wall { name: "user".to_owned(), folders: false, ..wall };
    let (refused, _) = with(&["tablespaces"], Some(user));
    assert!(
        refused.as_ref().is_err_and(|says| says.contains("wall `user`") && says.contains("/srv/ts")),
        "{refused:?}"
    );
}

fn destroy(fake: &Fake, instance: &str) -> Result<Value, String> {
    let parameters = json!({ "machine": "recovery", "instance": instance });
    let outcome = run(fake, "destroy-instance", &parameters);
    outcome.map(|outcome| outputs(&outcome)["removed"].clone()).map_err(|failure| failure.code().to_owned())
}

#[test]
fn only_a_copy_of_this_run_is_removed() {
    let fake = restorable(STOPPED);
    run(&fake, "restore", &parameters()).expect("a copy");
    let theirs = Marker {
        run: "another".to_owned(),
        key: "another/restore".to_owned(),
        port: 1,
        login_as: "primary".to_owned(),
        system_identifier: "7".to_owned(),
        created_ms: 0,
        by_socket: false,
        wall: String::new(),
    };
    let foreign = "/work/lb-00000000ff";
    fake.machine.files().create_folder(foreign).expect("a folder");
    fake.machine.files().write(&format!("{foreign}/lifeboat-instance.json"), &theirs.print()).expect("a marker");

    assert_eq!(destroy(&fake, "lb-00000000ff"), Err("pg-not-ours".to_owned()));
    assert!(fake.machine.files().exists(foreign));
    assert_eq!(destroy(&fake, "../etc"), Err("pg-no-instance".to_owned()));
    assert_eq!(destroy(&fake, &instance()), Ok(json!(true)));
    assert!(!fake.machine.files().exists(&format!("/work/{}", instance())));
    assert_eq!(destroy(&fake, &instance()), Ok(json!(false)));
}
