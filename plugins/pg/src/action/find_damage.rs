//! `pg/find-damage`: which transaction removed rows of a table, and exactly which rows, by the WAL.

use std::collections::BTreeMap;

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, postgres::Value};
use serde::{Deserialize, Serialize};

use crate::{
    archive::{self, ARCHIVE},
    damage::Candidate,
    dump::Reader,
    exact_set::{self, ExactSet},
    identifier::TableName,
    layout::{self, Layout},
    marker::{WORK, short_hash},
    relation,
    removals::Removals,
    search::{self, Culprit, Search},
    server::{self, Capabilities, Facts},
    wal_name::Lsn,
};

/// What the host reads and writes in one file at most.
const SET_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    machine: String,
    table: String,
    since: String,
    xid: Option<i64>,
    timeline: Option<u32>,
    archive: Option<String>,
    work: Option<String>,
}

#[derive(Debug, Serialize)]
struct Outputs {
    xid: u32,
    lsn: Lsn,
    commit_time: String,
    first_lsn: Lsn,
    rows: u64,
    rows_total: u64,
    tables: Vec<Touched>,
    locked: Vec<String>,
    dropped_files: usize,
    set_file: String,
    set_digest: String,
    candidates: Vec<Listed>,
    segments: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Touched {
    table: String,
    rows: u64,
    updated: u64,
}

#[derive(Debug, Serialize)]
struct Listed {
    xid: u32,
    commit_time: String,
    rows: u64,
}

pub(super) fn action() -> Action {
    Action::new(
        "find-damage",
        Effect::Mutate,
        "Finds in the WAL archive which transaction removed rows of a table, and writes down exactly which rows of which \
         tables it removed, cascades included. Reads the archive with pg_waldump; changes nothing but its file in `work`.",
    )
    .parameter("server", "target<postgres:read>", "The server that lost the rows.")
    .parameter("machine", "target<machine:write>", "Where the archive lies and the exact set is written.")
    .parameter("table", "string", "The table, as in a query: `public.customers`. A partitioned one stands for its partitions.")
    .parameter("since", "timestamp", "Earliest moment at which the transaction can have committed. When it began does not matter.")
    .optional("xid", "int", "The transaction, where it is known or several did similar damage.")
    .optional("timeline", "int", "Which timeline is searched (the one that `server` writes on).")
    .optional("archive", "string", "Folder of the binding with the WAL archive (`archive`).")
    .optional("work", "string", "Folder of the binding for the exact set (`work`).")
    .output("xid", "int", "The transaction.")
    .output("lsn", "string", "Where its commit record begins.")
    .output("commit_time", "timestamp", "When it committed.")
    .output("first_lsn", "string", "Its first removal of a row of the table.")
    .output("rows", "int", "Rows of the table that it removed.")
    .output("rows_total", "int", "Rows that it removed, of all tables.")
    .output("tables", "list<record{table: string, rows: int, updated: int}>", "Rows removed and rows changed, by table.")
    .output(
        "locked",
        "list<string>",
        "Tables of the exact set that the transaction locked against reading until its commit (ALTER TABLE, LOCK TABLE): a copy \
         that is paused before it can not be read there, so restore it with `promote: true`.",
    )
    .output(
        "dropped_files",
        "int",
        "Files of tables and indexes that went with the transaction (TRUNCATE, DROP): rows in them are not in the exact set.",
    )
    .output("set_file", "string", "File on the machine with the exact set.")
    .output("set_digest", "string", "`sha256:…` of that file.")
    .output(
        "candidates",
        "list<record{xid: int, commit_time: timestamp, rows: int}>",
        "Transactions that removed rows of the table, largest first, at most 20.",
    )
    .output("segments", "int", "WAL segments that were searched.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let connection = caps.open(&parameters.server)?;
    let facts = server::facts(&connection)?;
    let since = server::moment(&connection, &parameters.since)?;
    let files = relation::files_of(&connection, &parameters.table)?;

    let folder = parameters.archive.as_deref().unwrap_or(ARCHIVE);
    let facts = Facts { timeline: parameters.timeline.unwrap_or(facts.timeline), ..facts };
    let archive = archive::list(caps, &parameters.machine, folder, &facts)?;
    if archive.begins_after(since.ms) {
        caps.warn("nothing in the archive is older than `since`: older segments may have been removed from it");
    }
    let first = archive.since(since.ms)?;
    archive.check_heads(caps, &parameters.machine, &archive.segments[first..], facts.system_identifier)?;
    caps.info(&format!("searching {} WAL segments in {}", archive.segments.len() - first, archive.path));

    let reader = Reader { caps, machine: &parameters.machine, archive: &archive };
    let wanted = parameters.xid.map(low_half);
    let search = Search { reader, first, files: &files, since: &since, wanted };
    let culprit = search.culprit(&parameters.table)?;
    let layout = layout::read(&connection)?;
    let removals = search.removals(&culprit, &layout)?;

    let (set, tables) = sort(&layout, &culprit.transaction, &removals)?;
    let locked = removals.locked(facts.database, &set.tables);
    let dropped_files = removals.dropped_files(&culprit.transaction);
    warn(caps, &removals, &locked, dropped_files);
    let (set_file, set_digest) = write(call, caps, &parameters, &set)?;
    let rows = files.iter().filter_map(|file| set.tables.get(&file.table)).map(|tuples| tuples.len()).sum();
    let outputs = Outputs {
        rows,
        rows_total: set.rows(),
        tables,
        locked: locked.iter().map(TableName::plain).collect(),
        dropped_files,
        set_file,
        set_digest,
        ..found(&connection, culprit)?
    };
    let summary = format!(
        "transaction {} removed {rows} rows of {} ({} with dependent tables) at {}",
        outputs.xid, parameters.table, outputs.rows_total, outputs.commit_time
    );
    Outcome::new(outputs, summary)
}

/// The part of a 64-bit transaction id that the WAL knows.
fn low_half(xid: i64) -> u32 {
    u32::try_from(xid & 0xFFFF_FFFF).unwrap_or_default()
}

/// The outputs that the search alone gives.
fn found(connection: &impl Connection, culprit: Culprit) -> Result<Outputs, Failure> {
    let listed = |candidate: &Candidate| {
        let commit_time = rfc3339(connection, &candidate.commit_time)?;
        Ok(Listed { xid: candidate.xid, commit_time, rows: candidate.rows })
    };
    Ok(Outputs {
        xid: culprit.transaction.xid,
        lsn: culprit.transaction.lsn,
        commit_time: rfc3339(connection, &culprit.transaction.commit_time)?,
        first_lsn: culprit.transaction.first_lsn,
        candidates: culprit.candidates.iter().map(listed).collect::<Result<_, Failure>>()?,
        rows: 0,
        rows_total: 0,
        tables: Vec::new(),
        locked: Vec::new(),
        dropped_files: 0,
        set_file: String::new(),
        set_digest: String::new(),
        segments: culprit.segments,
    })
}

/// pg_waldump prints times in the zone of the machine that it runs on; where that is not UTC, the server converts.
fn rfc3339(connection: &impl Connection, time: &str) -> Result<String, Failure> {
    if let Some(time) = search::utc(time) {
        return Ok(format!("{}Z", time.replacen(' ', "T", 1)));
    }
    let rows = connection.query(
        "SELECT to_char($1::text::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS time",
        &[Value::from(time)],
    )?;
    rows.one()?.get("time")
}

/// Gives each file its table. What belongs to the server itself (catalogs, TOAST) comes back by itself.
fn sort(layout: &Layout, culprit: &Candidate, removals: &Removals<'_>) -> Result<(ExactSet, Vec<Touched>), Failure> {
    let files = &layout.files;
    let mut set = ExactSet::empty(vec![culprit.xid], culprit.lsn);
    let mut touched: BTreeMap<TableName, Touched> = BTreeMap::new();
    let entry = |table: &TableName| Touched { table: table.plain(), rows: 0, updated: 0 };
    for (file, updated) in removals.updated() {
        if let Some(table) = files.tables.get(&file) {
            touched.entry(table.clone()).or_insert_with(|| entry(table)).updated = updated;
        }
    }
    let mut nameless = 0;
    for (file, tuples) in removals.removed() {
        if let Some(table) = files.tables.get(file) {
            touched.entry(table.clone()).or_insert_with(|| entry(table)).rows = tuples.len();
            set.tables.insert(table.clone(), tuples.clone());
        } else {
            nameless += tuples.len();
        }
    }
    if nameless > 0 {
        let message = format!(
            "{nameless} rows that transaction {} removed lay in files that no table has today: those tables were rewritten or \
             dropped since, so the exact set would miss their rows; restore a copy with `before_xid` and compare by key",
            culprit.xid
        );
        return Err(Failure::permanent("pg-table-rewritten", message));
    }
    Ok((set, touched.into_values().collect()))
}

/// Says what a responder must know of the set before it is used.
fn warn(caps: &impl Capabilities, removals: &Removals<'_>, locked: &[TableName], dropped_files: usize) {
    if dropped_files > 0 {
        caps.warn(&format!(
            "the transaction also dropped or replaced {dropped_files} files of tables and indexes (TRUNCATE, DROP, ALTER TABLE): \
             rows in them are not in the exact set"
        ));
    }
    if !locked.is_empty() {
        let names: Vec<_> = locked.iter().map(TableName::plain).collect();
        caps.warn(&format!(
            "the transaction locked {} against reading until it committed: restore the copy with `promote: true`, a paused one \
             can not be read there",
            names.join(", ")
        ));
    }
    let perhaps_own = removals.doubts().perhaps_own;
    if perhaps_own > 0 {
        caps.warn(&format!(
            "{perhaps_own} of the rows may be ones that the transaction had itself written with COPY: the copy shows only those \
             from before"
        ));
    }
}

/// Writes the exact set; its path and digest.
fn write(
    call: &Call,
    caps: &impl Capabilities,
    parameters: &Parameters,
    set: &ExactSet,
) -> Result<(String, String), Failure> {
    let content = set.print().into_bytes();
    if content.len() > SET_BYTES_MAX {
        let message = format!("the exact set takes {} bytes, more than the {SET_BYTES_MAX} of one file", content.len());
        return Err(Failure::permanent("pg-set-too-large", message));
    }
    let folder = caps.folder(&parameters.machine, parameters.work.as_deref().unwrap_or(WORK))?;
    let path = format!("{folder}/exact-set-{}-{}.txt", set.first(), short_hash(&call.key));
    caps.write_file(&parameters.machine, &path, &content)?;
    Ok((path, exact_set::digest(&content)))
}
