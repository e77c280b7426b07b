//! `pg/merge-missing`: puts back exactly the rows that a transaction removed, beside what is there now.
//!
//! Everything happens in one transaction of the server. Its id and its result are written to a file before COMMIT, so that
//! afterwards the server's own commit log tells whether an interrupted merge took effect; no table of ours is needed.

use lifeboat_plugin::{
    Action, Call, Connection, Effect, Failure, Machine, Observation, Outcome, machine,
    postgres::{self, Isolation, Value},
};
use serde::{Deserialize, Serialize};

use crate::{
    exact_set::{ExactSet, Tuples},
    marker::{WORK, short_hash},
    merge::Merge,
    parameters, preparation,
    relation::Table,
    server::Capabilities,
    source::Source,
};

/// How long a statement waits for a lock before the merge gives way to the application and is tried again.
const LOCK_TIMEOUT: &str = "10s";
const ROWS_AT_ONCE: usize = 20_000;
const SAMPLE_MAX: usize = 20;
/// Looks at a transaction that still runs, a fifth of a second apart.
const LOOKS_MAX: u32 = 50;
const PAUSE_MS: u64 = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    #[serde(default)]
    triggers: preparation::Triggers,
    batch: Option<usize>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Outputs {
    rows_merged: u64,
    rows_present: u64,
    conflicts: u64,
    rows_not_found: u64,
    conflicts_sample: Vec<String>,
    tables: Vec<Merged>,
    sequences: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Merged {
    table: String,
    merged: u64,
    present: u64,
    conflicts: u64,
    parent_gone: u64,
}

/// What is written before COMMIT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    key: String,
    /// The merging transaction's 64-bit id.
    xid: String,
    outputs: Outputs,
}

pub(super) fn action() -> Action {
    let action = Action::new(
        "merge-missing",
        Effect::Mutate,
        "Puts back exactly the rows that a transaction removed, from a copy that was replayed to just before it, in one transaction and \
         with parents before children. Never changes a row that is there; a row that the application removed itself stays \
         removed. Generated columns are computed anew, identity columns keep their values, sequences only move forward.",
    )
    .parameter("server", "target<postgres:write>", "The server that lost the rows.");
    Source::declare(
        action,
        "target<machine:write>",
        "The machine of the copy; the result is noted in its folder `work`.",
    )
    .optional("triggers", "string", "What user triggers on INSERT mean: `refuse` (the default) or `fire`.")
    .optional("batch", "int", "Rows fetched from the copy at once (20000).")
    .output("rows_merged", "int", "Rows that were put back.")
    .output("rows_present", "int", "Rows that were there already, with the same content.")
    .output("conflicts", "int", "Rows that could not be put back.")
    .output(
        "rows_not_found",
        "int",
        "Rows of the set that the copy does not show: the transaction had inserted them itself.",
    )
    .output("conflicts_sample", "list<string>", "A few of those, with table and key.")
    .output(
        "tables",
        "list<record{table: string, merged: int, present: int, conflicts: int, parent_gone: int}>",
        "The same by table; `parent_gone` is the part of the conflicts whose parent row is not there.",
    )
    .output("sequences", "list<string>", "Sequences that were moved forward, with their new value.")
    .observable()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let (source, parameters): (Source, Parameters) = parameters::split(call, &Source::NAMES)?;
    let machine = source.machine.as_str();
    let record_path = record_path(call, caps, machine)?;
    let primary = caps.open(&parameters.server)?;
    match look_back(caps, &primary, machine, &record_path, &call.key)? {
        Observation::Done(outcome) => return Ok(outcome),
        Observation::Unknown(why) => return Err(Failure::interrupted("pg-merge-unknown", why)),
        Observation::NotDone => {}
    }
    let (set, copy) = source.open(caps)?;
    let tables = preparation::prepare(&primary, &copy, &set, parameters.triggers)?;

    primary.begin(Isolation::ReadCommitted)?;
    primary.execute(&format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"), &[])?;
    let xid: String = primary.query("SELECT pg_current_xact_id()::text AS xid", &[])?.one()?.get("xid")?;
    let batch = parameters.batch.unwrap_or(ROWS_AT_ONCE);
    let work = Work { caps, primary: &primary, copy: &copy, batch, xid: &xid, total: set.rows() };
    let outputs = work.merge_all(&tables, &set).map_err(raced)?;
    primary.execute("SET CONSTRAINTS ALL IMMEDIATE", &[]).map_err(|error| raced(error.into()))?;

    let record = Record { key: call.key.clone(), xid, outputs };
    caps.write_file(machine, &record_path, serde_json::json!(record).to_string().as_bytes())?;
    match primary.commit() {
        Ok(()) => outcome(record.outputs),
        Err(postgres::Error::Connection(reason)) => {
            let message = format!("the connection was lost during COMMIT: {}", reason.message);
            Err(Failure::interrupted("pg-commit-unknown", message))
        }
        Err(error) => Err(raced(error.into())),
    }
}

pub(super) fn observe<C: Capabilities>(call: &Call, caps: &C) -> Result<Observation, Failure> {
    let (source, parameters): (Source, Parameters) = parameters::split(call, &Source::NAMES)?;
    let record_path = record_path(call, caps, &source.machine)?;
    let primary = caps.open(&parameters.server)?;
    look_back(caps, &primary, &source.machine, &record_path, &call.key)
}

fn record_path(call: &Call, caps: &impl Machine, machine: &str) -> Result<String, Failure> {
    Ok(format!("{}/merge-{}.json", caps.folder(machine, WORK)?, short_hash(&call.key)))
}

fn outcome(outputs: Outputs) -> Result<Outcome, Failure> {
    let summary = format!(
        "{} rows put back, {} were there already, {} conflicts, {} not in the copy",
        outputs.rows_merged, outputs.rows_present, outputs.conflicts, outputs.rows_not_found
    );
    Outcome::new(outputs, summary)
}

/// What became of an earlier attempt. Without its file COMMIT was never sent; with it, the server knows.
fn look_back<C: Capabilities>(
    caps: &C,
    primary: &C::Connection,
    machine: &str,
    path: &str,
    key: &str,
) -> Result<Observation, Failure> {
    let content = match caps.read_file(machine, path) {
        Ok(content) => content,
        Err(machine::Error::NotFound(_)) => return Ok(Observation::NotDone),
        Err(error) => return Err(error.into()),
    };
    let record: Record = serde_json::from_slice(&content)
        .map_err(|error| Failure::permanent("pg-merge-record", format!("{path} can not be read: {error}")))?;
    if record.key != key {
        return Err(Failure::permanent("pg-merge-record", format!("{path} belongs to `{}`", record.key)));
    }
    for _ in 0..LOOKS_MAX {
        let rows =
            primary.query("SELECT pg_xact_status($1::text::xid8) AS status", &[Value::from(record.xid.as_str())])?;
        match rows.one()?.get::<Option<String>>("status")?.as_deref() {
            Some("committed") => return outcome(record.outputs).map(Observation::Done),
            Some("aborted") => return Ok(Observation::NotDone),
            Some(_) if caps.sleep_ms(PAUSE_MS) => {}
            Some(_) => break,
            None => {
                let message = format!("transaction {} is so old that the server has forgotten its end", record.xid);
                return Ok(Observation::Unknown(message));
            }
        }
    }
    Ok(Observation::Unknown(format!("transaction {} still runs on the server", record.xid)))
}

/// A foreign key that fails although parents were looked up means that the application removed one meanwhile.
fn raced(failure: Failure) -> Failure {
    match failure {
        Failure::Permanent(reason) if reason.message.contains("SQLSTATE 23503") => Failure::transient(
            "pg-parent-raced",
            format!("a parent row went away during the merge: {}", reason.message),
        ),
        other => other,
    }
}

struct Work<'a, C: Capabilities> {
    caps: &'a C,
    primary: &'a C::Connection,
    copy: &'a C::Connection,
    batch: usize,
    xid: &'a str,
    total: u64,
}

impl<C: Capabilities> Work<'_, C> {
    fn merge_all(&self, tables: &[Table], set: &ExactSet) -> Result<Outputs, Failure> {
        let mut outputs = Outputs::default();
        for (position, table) in tables.iter().enumerate() {
            let Some(tuples) = set.tables.get(&table.name) else { continue };
            let merge = Merge::new(table, position);
            let merged = self.merge(&merge, tuples, &mut outputs)?;
            outputs.rows_merged += merged.merged;
            outputs.rows_present += merged.present;
            outputs.conflicts += merged.conflicts;
            outputs.tables.push(merged);
        }
        Ok(outputs)
    }

    fn merge(&self, merge: &Merge<'_>, tuples: &Tuples, outputs: &mut Outputs) -> Result<Merged, Failure> {
        let table = &merge.table.name;
        self.primary.execute(&merge.create_stage(), &[])?;
        let staged = self.stage(merge, tuples, outputs.rows_merged)?;
        outputs.rows_not_found += tuples.len().saturating_sub(staged);
        let parent_gone = self.drop_orphans(merge)?;
        let merged = self.primary.execute(&merge.insert(), &[])?;
        let left = staged - parent_gone - merged;
        let (present, taken) = if left > 0 { self.leftovers(merge, outputs)? } else { (0, 0) };
        if parent_gone > 0 {
            note(&mut outputs.conflicts_sample, format!("{}: {parent_gone} rows whose parent is gone", table.plain()));
        }
        for statement in merge.advance_sequences() {
            for row in self.primary.query(&statement, &[])?.iter() {
                let (sequence, value): (String, i64) = (row.get("sequence")?, row.get("value")?);
                outputs.sequences.push(format!("{sequence} to {value}"));
            }
        }
        Ok(Merged { table: table.plain(), merged, present, conflicts: taken + parent_gone, parent_gone })
    }

    fn stage(&self, merge: &Merge<'_>, tuples: &Tuples, before: u64) -> Result<u64, Failure> {
        let columns = merge.table.written();
        let mut staged = 0;
        for (places, _) in tuples.batches(self.batch) {
            staged += self.caps.copy_between(self.copy, &merge.fetch(&places), self.primary, &merge.stage, &columns)?;
            let message = format!("fetching {}", merge.table.name.plain());
            self.caps.progress(before + staged, Some(self.total), "rows", &message);
        }
        Ok(staged)
    }

    fn drop_orphans(&self, merge: &Merge<'_>) -> Result<u64, Failure> {
        if merge.table.references.is_empty() {
            return Ok(0);
        }
        self.primary.execute(&merge.analyze(), &[])?;
        let mut gone = 0;
        loop {
            let mut round = 0;
            for reference in &merge.table.references {
                round += self.primary.execute(&merge.drop_orphans(reference), &[])?;
            }
            gone += round;
            // In a table that references itself, a dropped row can be another one's parent.
            let again = merge.table.references.iter().any(|reference| reference.parent == merge.table.name);
            if round == 0 || !again {
                return Ok(gone);
            }
        }
    }

    fn leftovers(&self, merge: &Merge<'_>, outputs: &mut Outputs) -> Result<(u64, u64), Failure> {
        let xid = self.xid.parse::<u64>().map_or(0, |xid| xid & 0xFFFF_FFFF);
        let rows = self.primary.query(&merge.leftovers(), &[Value::from(xid.to_string())])?;
        let row = rows.one()?;
        for key in row.get::<Vec<String>>("sample")? {
            note(&mut outputs.conflicts_sample, format!("{}: key {key} is taken", merge.table.name.plain()));
        }
        let count = |name: &str| row.get::<i64>(name).map(i64::unsigned_abs);
        Ok((count("same")?, count("conflicts")?))
    }
}

fn note(sample: &mut Vec<String>, text: String) {
    if sample.len() < SAMPLE_MAX {
        sample.push(text);
    }
}
