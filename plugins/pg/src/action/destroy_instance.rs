//! `pg/destroy-instance`: removes a copy that this run has made, and nothing else.

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    copy::{instance::Instance, marker, run_files},
    server::Capabilities,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    instance: Option<String>,
    #[serde(default)]
    files: bool,
}

pub(super) fn action() -> Action {
    Action::new(
        "destroy-instance",
        Effect::Destroy,
        "Stops a copy that this run restored and removes its folder. Refuses to remove what another run made. \
         Succeeds if the copy is gone already. As the `undo` of a `pg/restore` it needs no `instance`, and also \
         removes an unfinished copy.",
    )
    .parameter("machine", "target<machine:destroy>", "Where the copy is.")
    .optional("instance", "string", "The copy, as `pg/restore` named it (that of the step whose undo this is).")
    .optional(
        "files",
        "bool",
        "Also remove what the run wrote into `work`: exact sets, and the records of its merges. The run cannot \
         continue without them (false).",
    )
    .output("removed", "bool", "Whether there was a copy to remove.")
    .output("files_removed", "int", "Files of the run that were removed.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let Parameters { machine, instance, files } = &parameters;
    let (removed, mut summary) = destroy(call, caps, machine, instance.as_deref())?;
    let mut files_removed = 0;
    if *files {
        files_removed = run_files::remove(caps, machine, &call.run)?;
        summary = format!("{summary}, {files_removed} files of the run are removed");
    }
    Outcome::new(json!({ "removed": removed, "files_removed": files_removed }), summary)
}

/// Whether there was a copy, and what happened to it.
fn destroy<C: Capabilities>(
    call: &Call,
    caps: &C,
    machine: &str,
    instance: Option<&str>,
) -> Result<(bool, String), Failure> {
    // An undo has the key of its step.
    let name = &instance.map_or_else(|| marker::instance_of(&call.key), str::to_owned);
    let folder = marker::folder(caps, machine, name)?;
    let Some(marker) = marker::find(caps, machine, name)? else {
        // An attempt that ended before it wrote its marker left an empty folder.
        let empty = caps
            .list_folder(machine, &folder)
            .is_ok_and(|entries| entries.iter().all(|entry| entry.name.starts_with(".lifeboat-new.")));
        if empty {
            caps.remove(machine, &folder)?;
        }
        return Ok((empty, format!("{name} is gone already")));
    };
    if marker.run != call.run {
        let message = format!("{name} on `{machine}` was made by the run `{}`, not by this run", marker.run);
        return Err(Failure::denied("pg-not-ours", message));
    }
    let instance = Instance { caps, machine, folder: &folder, startup: None };
    if instance.is_running()? {
        instance.stop()?;
    }
    // The marker is removed last: after any interruption, what is left still names its owner.
    instance.remove_files()?;
    caps.remove(machine, &instance.log())?;
    caps.remove(machine, &folder)?;
    Ok((true, format!("{name} is removed")))
}
