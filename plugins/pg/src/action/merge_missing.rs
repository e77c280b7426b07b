//! `pg/merge-missing`: puts back exactly the rows that a transaction removed, and the values that it replaced, beside what is there now.
//!
//! Everything happens in one transaction of the server. Its id and its result are written to a file before COMMIT, so that
//! afterwards the server's own commit log tells whether an interrupted merge took effect; no table of ours is needed.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Machine, Observation, Outcome};
use serde::{Deserialize, Serialize};

use crate::{
    call::digest,
    call::parameters,
    copy::run_files,
    rows::{
        left::Left,
        obstacle::Triggers,
        preparation,
        putting_back::{Report, Work},
        source::Source,
        transaction, value_merge,
    },
    server::Capabilities,
};

const ROWS_AT_ONCE: usize = 20_000;
/// What the host writes in one file at most.
const FILE_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    #[serde(default)]
    triggers: Triggers,
    batch: Option<usize>,
    after: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Outputs {
    #[serde(flatten)]
    report: Report,
    rows_left: u64,
    complete: bool,
    left_file: String,
    left_digest: String,
}

pub(super) fn action() -> Action {
    let action = Action::new(
        "merge-missing",
        Effect::Mutate,
        "Puts back exactly the rows that a transaction removed, from a copy that was replayed to just before it, in \
         one transaction and with parents before children. Never changes a row that is there, but for the values that the \
         transaction itself wrote: with a second copy from just after it (`after`), each column of a changed row gets its older value \
         back if it still has what the transaction wrote. What the application wrote or removed since stays as it is. A value that \
         the application wrote again as the transaction had, cannot be told from the transaction's. A row that a rule of its table refuses is reported and does not \
         hold back the others. Generated columns are computed again, identity columns keep their values, sequences \
         only move forward.",
    )
    .parameter("server", "target<postgres:write>", "The server that lost the rows.");
    let action = Source::declare(
        action,
        "target<machine:write>",
        "The machine of the copy; the result is noted in its folder `work`.",
    );
    Source::declare_after(action)
    .optional("triggers", "string", "What user triggers on INSERT mean (with `after`, also those on UPDATE): `refuse` (the default), `fire`, or `skip`, which needs the right to set `session_replication_role`.")
    .optional("batch", "int", "Rows fetched from the copy at once (20000).")
    .output("rows_merged", "int", "Rows that were put back.")
    .output("rows_present", "int", "Rows that were there already, with the same content.")
    .output("conflicts", "int", "Rows that are not back because another row is in their place, or because their \
                                 table refuses them.")
    .output("conflicts_changed", "int", "Those of them whose key exists with other content: the older content can replace it.")
    .output("orphans", "int", "Rows that are not back because the row that they reference is gone.")
    .output("rows_left", "int", "Rows that are in the copy and not back: conflicts and orphans.")
    .output(
        "rows_not_found",
        "int",
        "Rows of the set that the copy does not have: the transaction itself inserted them.",
    )
    .output("complete", "bool", "Whether everything that the copy has of the damage is back: no row, changed row or \
                                 large object is left.")
    .output("references_mended", "int", "Foreign keys that became null, or their default, when their row was \
                                         removed, had not changed since, and point at it again.")
    .output("values_back", "int", "With `after`: rows that got back a value that the transaction had replaced.")
    .output("values_newer", "int", "With `after`: changed rows of which something was written since; that stays.")
    .output("values_gone", "int", "With `after`: changed rows that are gone since; they stay away.")
    .output("changed_left", "int", "Rows that the transaction only changed and that are not as they were before it; with `after`, those \
                                    that still have a value that it wrote.")
    .output("objects_back", "int", "Large objects that are there again, under their own OIDs.")
    .output("objects_left", "int", "Large objects that are not back: their OID is in use, or the login may not read them.")
    .output("left_file", "string", "File on the machine that names the rows that are left.")
    .output("left_digest", "string", "`sha256:…` of that file.")
    .output("left_text", "string", "A few of the rows that are left, with both versions, for a person; empty if there are none.")
    .output(
        "tables",
        "list<record{table: string, merged: int, present: int, conflicts: int, orphans: int}>",
        "The same by table.",
    )
    .output("sequences", "list<string>", "Sequences that were moved forward, with their new value.")
    .observable()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let (source, parameters): (Source, Parameters) = parameters::split(call, &Source::NAMES)?;
    let machine = source.machine.as_str();
    let record_path = record_path(call, caps, machine)?;
    let primary = caps.open(&parameters.server)?;
    if let Some(done) = transaction::before(caps, &primary, machine, &record_path, &call.key)? {
        return outcome(done);
    }
    let (set, copy) = source.open(caps)?;
    let after = source.open_after(caps, &set, parameters.after.as_deref())?;
    let prepared = preparation::prepare(&primary, &copy, &set, parameters.triggers)?;
    if after.is_some() {
        value_merge::check(&primary, &set, parameters.triggers)?;
    }

    let xid = transaction::begin(&primary)?;
    let batch = parameters.batch.unwrap_or(ROWS_AT_ONCE);
    let (after, triggers) = (after.as_ref(), parameters.triggers);
    let work = Work { caps, primary: &primary, copy: &copy, after, batch, triggers, total: set.rows() };
    let (report, left) = work.merge_all(&prepared, &set).map_err(raced)?;
    primary.execute("SET CONSTRAINTS ALL IMMEDIATE", &[]).map_err(|error| raced(error.into()))?;

    let (left_file, left_digest) = write_left(call, caps, machine, &left)?;
    let complete = left.rows() + report.changed_left + report.objects_left == 0;
    let outputs = Outputs { report, rows_left: left.rows(), complete, left_file, left_digest };
    let record = transaction::TransactionRecord { key: call.key.clone(), xid, outputs };
    outcome(transaction::commit(caps, &primary, machine, &record_path, record, raced)?)
}

pub(super) fn observe<C: Capabilities>(call: &Call, caps: &C) -> Result<Observation, Failure> {
    let (source, parameters): (Source, Parameters) = parameters::split(call, &Source::NAMES)?;
    let record_path = record_path(call, caps, &source.machine)?;
    let primary = caps.open(&parameters.server)?;
    match transaction::look_back(caps, &primary, &source.machine, &record_path, &call.key)? {
        transaction::Past::Done(outputs) => outcome(outputs).map(Observation::Done),
        transaction::Past::NotDone => Ok(Observation::NotDone),
        transaction::Past::Unknown(why) => Ok(Observation::Unknown(why)),
    }
}

fn record_path(call: &Call, caps: &impl Machine, machine: &str) -> Result<String, Failure> {
    run_files::path(call, caps, machine, "merge", ".json")
}

fn write_left(call: &Call, caps: &impl Machine, machine: &str, left: &Left) -> Result<(String, String), Failure> {
    let content = left.print().into_bytes();
    if content.len() > FILE_BYTES_MAX {
        let message = format!(
            "the list of the rows that would be left has {} bytes, and a file can have at most {FILE_BYTES_MAX}: \
             nothing was put back; most of the rows exist with other content or have lost their parents, so look at \
             a few of them first",
            content.len()
        );
        return Err(Failure::permanent("pg-set-too-large", message));
    }
    let path = run_files::path(call, caps, machine, "left", ".txt")?;
    caps.write_file(machine, &path, &content)?;
    Ok((path, digest::of(&content)))
}

fn outcome(outputs: Outputs) -> Result<Outcome, Failure> {
    let report = &outputs.report;
    let mut summary = format!(
        "{} rows put back, {} were there already, {} conflicts, {} without their parent, {} not in the copy",
        report.rows_merged, report.rows_present, report.conflicts, report.orphans, report.rows_not_found
    );
    if report.values_back + report.values_newer + report.values_gone > 0 {
        let (back, newer, gone) = (report.values_back, report.values_newer, report.values_gone);
        summary.push_str(&format!(
            "; {back} rows have their older values again, {newer} were written since and {gone} are gone since"
        ));
    }
    if report.references_mended + report.changed_left > 0 {
        let (mended, left) = (report.references_mended, report.changed_left);
        summary.push_str(&format!(
            "; {mended} references point at their row again, {left} changed rows are not as they were"
        ));
    }
    if report.objects_back + report.objects_left > 0 {
        let (back, left) = (report.objects_back, report.objects_left);
        summary.push_str(&format!("; {back} large objects are back, {left} are not"));
    }
    Outcome::new(outputs, summary)
}

/// A foreign key that fails although parents were looked up means that the application removed one meanwhile.
fn raced(failure: Failure) -> Failure {
    match failure {
        Failure::Permanent(reason) if reason.message.contains("SQLSTATE 23503") => Failure::transient(
            "pg-parent-raced",
            format!("a parent row was removed during the merge, which was rolled back: {}", reason.message),
        ),
        other => other,
    }
}
