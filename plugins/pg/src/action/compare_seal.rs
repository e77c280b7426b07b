//! `pg/compare-seal`: whether a copy holds what was recorded when its backup was sealed.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    backup::{
        base_backup::{self, BACKUPS},
        seal::{measured, sealed},
    },
    copy::marker,
    server::{self, Capabilities, databases::some},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    instance: String,
    backup: String,
    backups: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "compare-seal",
        Effect::Read,
        "Counts and hashes every table of a copy and holds that against the seal of its backup. The copy must have \
         been restored to the point of the seal: `target: { xid: … }` with what `pg/pick-backup` or `pg/seal-backup` \
         gives. Each difference is named by table and by keys.",
    )
    .parameter("machine", "target<machine:read>", "The machine of the copy, with the backups.")
    .parameter("instance", "string", "The copy, as `pg/restore` named it.")
    .parameter("backup", "string", "The backup that it was made from.")
    .optional("backups", "string", "Folder of the binding with the base backups (`backups`).")
    .output("tables", "int", "How many tables are as they were sealed.")
    .output("rows", "int", "How many rows they have.")
    .output("made", "timestamp", "When the seal was made.")
    .output("left_out", "list<string>", "What the seal says nothing about, and why.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let folder = caps.folder(machine, parameters.backups.as_deref().unwrap_or(BACKUPS))?;
    let name = parameters.backup.as_str();
    base_backup::check_name(name)?;
    let missing = || Failure::permanent("pg-no-backup", format!("there is no base backup {folder}/{name}"));
    let backup = base_backup::read(caps, machine, &folder, name)?.ok_or_else(missing)?;
    let seal = sealed::read(caps, machine, &folder, &backup)?.asserts()?;
    let marker = marker::read(caps, machine, &parameters.instance)?;
    if marker.system_identifier != seal.system_identifier {
        let message = format!(
            "the copy {} is of the cluster {}, and the seal of {name} is of {}",
            parameters.instance, marker.system_identifier, seal.system_identifier
        );
        return Err(Failure::permanent("pg-backup-foreign", message));
    }
    let mut connection = marker.open(caps, machine, &marker::folder(caps, machine, &parameters.instance)?)?;
    if server::login(&connection, &[])?.database != seal.database {
        connection = connection.beside(&seal.database)?;
    }
    let differences = measured::differences(caps, &connection, &seal.tables)?;
    if !differences.is_empty() {
        let message = format!(
            "the copy {} does not hold what {name} held behind transaction {}, when it was sealed at {}: {}",
            parameters.instance,
            seal.xid,
            seal.made,
            some(&differences)
        );
        return Err(Failure::permanent("pg-seal-differs", message));
    }
    let (tables, rows) = (seal.tables.len(), seal.rows());
    let mut summary = format!("{rows} rows of {tables} tables are as they were sealed at {}", seal.made);
    if !seal.left_out.is_empty() {
        summary = format!("{summary}; not sealed: {}", some(&seal.left_out));
    }
    let outputs = json!({ "tables": tables, "rows": rows, "made": seal.made, "left_out": seal.left_out });
    Outcome::new(outputs, summary)
}
