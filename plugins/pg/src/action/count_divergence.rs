//! `pg/count-divergence`: what the old primary wrote beyond the point at which the new one left its timeline.

use std::collections::BTreeMap;

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, Process, postgres::Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    repair::{ServerFiles, check_cluster},
    server::Capabilities,
    standby::lsn,
    wal::{
        cluster,
        segment::Lsn,
        waldump::{self, Filenode, Kind},
    },
};

const LINES_AT_ONCE: u32 = 4096;
/// Managers whose records change rows or end transactions.
const MANAGERS: [&str; 3] = ["Heap", "Heap2", "Transaction"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    host: String,
    server: String,
    fork: String,
    timeline: u32,
}

pub(super) fn action() -> Action {
    Action::new(
        "count-divergence",
        Effect::Read,
        "Reads the WAL that the old primary wrote beyond the fork, on its own disk: how many transactions committed there and \
         which rows they made, removed and replaced. None of it is on the new primary. Committed is not acknowledged: the \
         difference must be explained by writes whose answer never came.",
    )
    .parameter("host", "target<machine:read>", "The host of the old primary; its data folder is the folder `data`.")
    .parameter("server", "target<postgres:read>", "The new primary, for the names of tables.")
    .parameter("fork", "string", "Where the new timeline begins: that of `pg/promote`.")
    .parameter("timeline", "int", "The old timeline.")
    .output("transactions", "int", "Transactions that changed rows of tables and committed beyond the fork.")
    .output("unfinished", "int", "Transactions that changed rows beyond the fork and neither committed nor ended there.")
    .output(
        "tables",
        "list<record{table: string, made: int, removed: int, replaced: int}>",
        "The rows of those that committed, by table; a file that the new primary does not know is named by its numbers.",
    )
    .output("end", "string", "The last record of the old primary; empty if there is none beyond the fork.")
    .idempotent()
}

/// Row versions of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Counts {
    made: u64,
    removed: u64,
    replaced: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.made += other.made;
        self.removed += other.removed;
        self.replaced += other.replaced;
    }
}

/// What was read so far.
#[derive(Debug, Default)]
struct Beyond {
    /// By (sub)transaction and file, of those that have not ended.
    open: BTreeMap<u32, BTreeMap<Filenode, Counts>>,
    /// Those of each transaction that committed.
    committed: Vec<BTreeMap<Filenode, Counts>>,
    last: Option<Lsn>,
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let fork = lsn(&parameters.fork)?;
    let connection = caps.open(&parameters.server)?;
    let files = ServerFiles::find(caps, &parameters.host)?;
    check_cluster(&files, cluster::facts(&connection)?.system_identifier)?;
    let beyond = read(caps, &parameters, &files.data, fork)?;
    let nodes = beyond.committed.iter().flat_map(BTreeMap::keys).chain(beyond.open.values().flat_map(BTreeMap::keys));
    let names = names(&connection, nodes)?;
    let is_table = |file: &Filenode| names.get(file).is_some_and(Option::is_some);
    let changes = |files: &&BTreeMap<Filenode, Counts>| files.keys().any(is_table);
    let transactions = beyond.committed.iter().filter(changes).count();
    let unfinished = beyond.open.values().filter(changes).count();
    let mut tables: BTreeMap<&str, Counts> = BTreeMap::new();
    for (file, counts) in beyond.committed.iter().flatten() {
        if let Some(Some(name)) = names.get(file) {
            tables.entry(name).or_default().add(*counts);
        }
    }
    let end = beyond.last.map(|last| last.to_string()).unwrap_or_default();
    let rows: u64 = tables.values().map(|it| it.made + it.removed + it.replaced).sum();
    let summary = match beyond.last {
        Some(last) => format!("{transactions} transactions changed {rows} rows between {fork} and {last}"),
        None => format!("the old primary wrote nothing beyond {fork}"),
    };
    let listed: Vec<_> = tables
        .iter()
        .map(|(table, it)| json!({ "table": table, "made": it.made, "removed": it.removed, "replaced": it.replaced }))
        .collect();
    let outputs = json!({ "transactions": transactions, "unfinished": unfinished, "tables": listed, "end": end });
    Outcome::new(outputs, summary)
}

/// Reads to the end of the WAL, which is where pg_waldump finds no valid record any more.
fn read<C: Capabilities>(caps: &C, parameters: &Parameters, data: &str, fork: Lsn) -> Result<Beyond, Failure> {
    let mut arguments = vec!["-p".to_owned(), format!("{data}/pg_wal")];
    for manager in MANAGERS {
        arguments.extend(["-r".to_owned(), manager.to_owned()]);
    }
    arguments.extend(["-t".to_owned(), parameters.timeline.to_string(), "-s".to_owned(), fork.to_string()]);
    let process = caps.spawn(&parameters.host, "pg_waldump", &arguments, &[])?;
    let mut beyond = Beyond::default();
    loop {
        let lines = process.read_lines(LINES_AT_ONCE)?;
        if lines.is_empty() {
            break;
        }
        lines.iter().for_each(|line| beyond.take(line));
    }
    let says = process.wait()?.stderr;
    let is_end =
        ["could not find a valid record", "error in WAL record", "could not find file", "invalid record length"]
            .iter()
            .any(|text| says.contains(text));
    if says.trim().is_empty() || is_end {
        return Ok(beyond);
    }
    Err(Failure::permanent("pg-waldump", format!("pg_waldump on {data}/pg_wal: {}", says.trim())))
}

impl Beyond {
    fn take(&mut self, line: &str) {
        if let Some(xid) = prepared(line) {
            return self.commit(xid, &[]);
        }
        let Some(record) = waldump::parse(line) else { return };
        self.last = self.last.max(Some(record.lsn));
        match record.kind {
            Kind::Insert(place) => self.count(record.xid, place.file, |it| it.made += 1),
            Kind::InsertMany { file, offsets, .. } => {
                let many = offsets.map(|offsets| offsets.len() as u64).or_else(|| several(line)).unwrap_or(0);
                self.count(record.xid, file, |it| it.made += many);
            }
            Kind::Delete(place) | Kind::MoveAway(place) => self.count(record.xid, place.file, |it| it.removed += 1),
            Kind::TakeBack(place) => self.count(record.xid, place.file, |it| it.made = it.made.saturating_sub(1)),
            Kind::Update { new, .. } => self.count(record.xid, new.file, |it| it.replaced += 1),
            Kind::Commit { subtransactions, .. } => self.commit(record.xid, &subtransactions),
            Kind::Abort { subtransactions } => {
                self.open.remove(&record.xid);
                subtransactions.iter().for_each(|xid| drop(self.open.remove(xid)));
            }
            _ => {}
        }
    }

    fn count(&mut self, xid: u32, file: Filenode, count: impl FnOnce(&mut Counts)) {
        count(self.open.entry(xid).or_default().entry(file).or_default());
    }

    fn commit(&mut self, xid: u32, subtransactions: &[u32]) {
        let mut all: BTreeMap<Filenode, Counts> = BTreeMap::new();
        for xid in subtransactions.iter().chain([&xid]) {
            for (file, counts) in self.open.remove(xid).unwrap_or_default() {
                all.entry(file).or_default().add(counts);
            }
        }
        if !all.is_empty() {
            self.committed.push(all);
        }
    }
}

/// `desc: COMMIT_PREPARED 735: …`: the transaction that another session ends.
fn prepared(line: &str) -> Option<u32> {
    line.split_once("desc: COMMIT_PREPARED ")?.1.split([':', ' ']).next()?.parse().ok()
}

/// How many row versions a record of several has, where it does not say which: `MULTI_INSERT+INIT 5 tuples flags 0x02`.
fn several(line: &str) -> Option<u64> {
    let words = line.split_once("MULTI_INSERT")?.1;
    words.split([' ', ',']).find_map(|word| word.parse().ok())
}

/// The table of each file, as the new primary names it; none for what is no table of the user.
fn names<'f>(
    connection: &impl Connection,
    files: impl Iterator<Item = &'f Filenode>,
) -> Result<BTreeMap<Filenode, Option<String>>, Failure> {
    let files: BTreeMap<String, Filenode> = files.map(|file| (file.to_string(), *file)).collect();
    let rows = connection.query(
        "SELECT f.file, c.oid::regclass::text AS name,
                coalesce(c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema'),
                         split_part(f.file, '/', 3)::oid >= 16384) AS is_table,
                split_part(f.file, '/', 2)::oid = (SELECT oid FROM pg_database WHERE datname = current_database()) AS here
           FROM unnest($1::text[]) AS f (file)
           LEFT JOIN pg_class AS c
             ON c.oid = pg_filenode_relation(split_part(f.file, '/', 1)::oid, split_part(f.file, '/', 3)::oid)
           LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace",
        &[Value::from(files.keys().cloned().collect::<Vec<_>>())],
    )?;
    let mut names = BTreeMap::new();
    for row in rows.iter() {
        let text: String = row.get("file")?;
        let (name, is_table, here): (Option<String>, bool, bool) =
            (row.get("name")?, row.get("is_table")?, row.get("here")?);
        let unknown = || format!("file {text}");
        let name = if here { name.unwrap_or_else(unknown) } else { unknown() };
        if let Some(file) = files.get(&text) {
            names.insert(*file, is_table.then_some(name));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_several_rows_say_how_many() {
        let check = |line: &str, expect: Option<u64>| assert_eq!(several(line), expect, "{line}");
        check("desc: MULTI_INSERT+INIT 5 tuples flags 0x02, blkref #0: rel 1663/5/16385 blk 0", Some(5));
        check("desc: MULTI_INSERT 12 tuples flags 0x00", Some(12));
        check("desc: MULTI_INSERT ntuples: 3, flags: 0x02", Some(3));
        check("desc: INSERT off 3 flags 0x00", None);
    }

    #[test]
    fn a_prepared_transaction_commits_under_the_number_in_the_text() {
        let line = "rmgr: Transaction len (rec/tot): 90/ 90, tx: 0, lsn: 0/03000028, prev 0/03000000, desc: COMMIT_PREPARED 735: 2026-11-21 03:00:00 UTC";
        assert_eq!(prepared(line), Some(735));
        assert_eq!(prepared("desc: COMMIT 2026-11-21 03:00:00 UTC"), None);
    }
}
