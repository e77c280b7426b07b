//! `pg/list-backups`: which base backups a machine has.

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    backup::base_backup::{self, BACKUPS, Backup},
    server::Capabilities,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    backups: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "list-backups",
        Effect::Read,
        "Lists the whole base backups below a folder, oldest first. Plain format only.",
    )
    .parameter("machine", "target<machine:read>", "Where they are.")
    .optional("backups", "string", "Folder of the binding with the base backups (`backups`).")
    .output(
        "backups",
        "list<record{name: string, label: string, start_lsn: string, end_lsn?: string, start_time: string, \
             timeline: int, size_bytes: int}>",
        "The backups. `size_bytes` is 0 if the manifest is too large to read.",
    )
    .output(
        "unusable",
        "list<string>",
        "Everything else in the folder, with the reason why nothing can be restored from it.",
    )
    .output("count", "int", "How many.")
    .maybe_output("newest", "string", "The name of the newest one.")
    .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let folder = caps.folder(&parameters.machine, parameters.backups.as_deref().unwrap_or(BACKUPS))?;
    let found = base_backup::survey(caps, &parameters.machine, &folder)?;
    let unusable: Vec<String> = found.others.iter().map(|other| other.describe(&folder)).collect();
    unusable.iter().for_each(|other| caps.warn(other));
    let backups = found.whole;
    let newest = backups.last().map(|backup| backup.name.clone());
    let summary = match &newest {
        Some(name) => format!("{} backups in {folder}, the newest is {name}", backups.len()),
        None => format!("no backup in {folder}"),
    };
    let listed: Vec<Value> = backups.iter().map(describe).collect();
    let mut outputs = json!({ "backups": listed, "unusable": unusable, "count": backups.len() });
    if let Some(newest) = newest {
        outputs["newest"] = newest.into();
    }
    Outcome::new(outputs, summary)
}

fn describe(backup: &Backup) -> Value {
    let mut value = json!({
        "name": backup.name,
        "label": backup.label,
        "start_lsn": backup.start_lsn,
        "start_time": backup.start_time,
        "timeline": backup.timeline,
        "size_bytes": backup.size_bytes,
    });
    if let Some(end) = backup.end_lsn {
        value["end_lsn"] = end.to_string().into();
    }
    value
}
