//! A scripted cluster: what a server, an archive and PostgreSQL's programs say, for tests of whole actions.

#![expect(dead_code, reason = "every test file uses a part of it")]

use lifeboat_plugin::{
    Call, Effect, Failure, Observation, Outcome, Plugin,
    fake::{Fake, Invocation, ended, rows},
    values,
};
use plugin_pg::Pg;
use serde_json::Value;

pub(crate) const IDENTIFIER: u64 = 7_423_390_164_517_263_455;
/// Small segments keep the archive small.
pub(crate) const SEGMENT_BYTES: usize = 1 << 20;

pub(crate) fn run(fake: &Fake, action: &str, parameters: &Value) -> Result<Outcome, Failure> {
    Pg::run(&Call::example(action, parameters), fake)
}

pub(crate) fn observe(fake: &Fake, action: &str, parameters: &Value) -> Result<Observation, Failure> {
    Pg::observe(&Call::example(action, parameters), fake)
}

pub(crate) fn outputs(outcome: &Outcome) -> Value {
    outcome.decode().expect("outputs are an object")
}

/// A machine with its folders and a server that knows what it is.
pub(crate) fn cluster() -> Fake {
    let fake = Fake::default();
    for (name, path) in [("work", "/work"), ("archive", "/archive"), ("backups", "/backups")] {
        fake.machine.add_folder(name, path).expect("a folder");
    }
    fake.machine.set_ports(&[54_330, 54_331]);
    let identifier = IDENTIFIER.cast_signed().to_string();
    fake.postgres.on("FROM pg_control_system() AS s", move |_| {
        let columns = ["system_identifier", "timeline", "version", "segment_size", "database"];
        Ok(rows(&columns, vec![values![identifier.as_str(), 1_i64, 150_014_i64, SEGMENT_BYTES as i64, 5_i64]]))
    });
    fake.postgres.on("AS logged", |_| {
        let columns = ["schema", "name", "kind", "is_root", "logged", "tablespace", "database", "node"];
        Ok(rows(&columns, vec![values!["public", "account", "r", true, true, 1663_i64, 5_i64, 100_i64]]))
    });
    fake.postgres.on("AS is_table", |_| {
        let columns = ["schema", "name", "is_table", "is_catalog", "tablespace", "database", "node"];
        let table =
            |name: &str, node: i64, is_table: bool| values!["public", name, is_table, false, 1663_i64, 5_i64, node];
        Ok(rows(&columns, vec![table("account", 100, true), table("orders", 200, true), table("toast", 300, false)]))
    });
    fake.postgres.on("AS table_oid", |_| {
        let columns = ["table_oid", "schema", "name", "root", "triggered", "tablespace", "database", "node"];
        let table =
            |name: &str, node: i64| values![node + 1, "public", name, None::<i64>, false, 1663_i64, 5_i64, node];
        Ok(rows(&columns, vec![table("account", 100), table("orders", 200)]))
    });
    fake.postgres.on("pg_current_wal_insert_lsn", |_| Ok(rows(&["name"], vec![values!["000000010000000000000004"]])));
    fake.postgres.on("floor(extract(epoch", |statement| {
        let text = format!("{:?}", statement.parameters);
        let number = |text: &str| text.parse::<u32>().expect("a number");
        let clock = text.split('T').nth(2).expect("a time stamp");
        let seconds: String = text.rsplit('(').next().expect("seconds").chars().filter(char::is_ascii_digit).collect();
        let at = number(&clock[..2]) * 3600 + number(&clock[3..5]) * 60 - number(&seconds);
        let time = format!("2026-11-21 {:02}:{:02}:{:02}.000000", at / 3600, at / 60 % 60, at % 60);
        let ms = if text.contains("03:00") { 1_000_i64 } else { 0 };
        let time = time.as_str();
        Ok(rows(&["ms", "text"], vec![values![ms, time]]))
    });
    fake
}

/// Puts a segment into the archive, written by the cluster with that identifier.
pub(crate) fn archive_segment(fake: &Fake, number: u64, identifier: u64) {
    let mut content = vec![0; SEGMENT_BYTES];
    content[..4].copy_from_slice(&[0x10, 0xD1, 0x02, 0x00]);
    content[4..8].copy_from_slice(&1_u32.to_le_bytes());
    content[8..16].copy_from_slice(&(number * SEGMENT_BYTES as u64).to_le_bytes());
    content[24..32].copy_from_slice(&identifier.to_le_bytes());
    content[32..36].copy_from_slice(&(SEGMENT_BYTES as u32).to_le_bytes());
    content[36..40].copy_from_slice(&8_192_u32.to_le_bytes());
    let path = format!("/archive/0000000100000000{number:08X}");
    fake.machine.files().write(&path, &content).expect("a segment");
}

/// A pg_waldump that knows these lines and the options that the plugin uses.
pub(crate) fn waldump(fake: &Fake, lines: &'static str) {
    fake.machine.add_program("pg_waldump", Effect::Read, move |_, invocation| {
        let kept: Vec<&str> = lines.lines().filter(|line| is_asked_for(line, invocation)).collect();
        if invocation.has("--stats=record") {
            let removals = kept.iter().filter(|line| line.contains("desc: DELETE")).count();
            let line = if removals == 0 { String::new() } else { format!("Heap/DELETE {removals:>40}\n") };
            return ended(0, &format!("WAL statistics between 0/0 and 0/1:\n{line}"), "");
        }
        ended(0, &kept.join("\n"), "")
    });
}

fn is_asked_for(line: &str, invocation: &Invocation) -> bool {
    let values = |option: &str| {
        let pairs = invocation.arguments.windows(2).filter(|pair| pair[0] == option);
        pairs.map(|pair| pair[1].clone()).collect::<Vec<_>>()
    };
    let manager = values("-r").iter().any(|manager| line.starts_with(&format!("rmgr: {manager:<11} ")));
    let xid = values("-x").iter().all(|xid| line.contains(&format!("tx: {xid:>10},")));
    let relation = values("-R").iter().all(|relation| line.contains(&format!("rel {relation} blk")));
    let lsn = line.split("lsn: ").nth(1).and_then(|rest| rest.split(',').next()).map_or(0, position);
    let segment = lsn / SEGMENT_BYTES as u64;
    let [.., first, last] = invocation.arguments.as_slice() else { panic!("no segments in {invocation:?}") };
    let number = |name: &str| u64::from_str_radix(&name[16..], 16).expect("a segment");
    let inside = (number(first)..=number(last)).contains(&segment);
    let from = values("-s").iter().all(|from| lsn >= position(from));
    let to = values("-e").iter().all(|to| lsn < position(to));
    manager && xid && relation && inside && from && to
}

/// `0/1000028`, all of it below 4 GiB.
fn position(lsn: &str) -> u64 {
    u64::from_str_radix(lsn.strip_prefix("0/").expect("a small LSN"), 16).expect("an LSN")
}
