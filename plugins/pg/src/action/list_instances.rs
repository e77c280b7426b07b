//! `pg/list-instances`: which copies a machine has, and whose they are.

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    copy::marker::{self, FoundInstance},
    server::Capabilities,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
}

pub(super) fn action() -> Action {
    Action::new("list-instances", Effect::Read, "Lists the restored copies in the folder `work` of a machine, with the runs that made them.")
        .parameter("machine", "target<machine:read>", "Where they are.")
        .output(
            "instances",
            "list<record{name: string, state: string, size_bytes: int, run?: string, step?: string, port?: int, wall?: string, \
             created_ms?: int}>",
            "The copies. `state` is `running`, `stopped`, or `unfinished` if it has not reached its target; a copy \
             without a `run` does not say which run made it. `port` is given if it holds one.",
        )
        .output("count", "int", "How many.")
        .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let Parameters { machine } = call.parameters()?;
    let mut instances = Vec::new();
    for found in marker::list(caps, &machine)? {
        let folder = marker::folder(caps, &machine, &found.name)?;
        instances.push(describe(&found, caps.survey(&machine, &folder)?.bytes));
    }
    let summary = format!("{} copies on `{machine}`", instances.len());
    Outcome::new(json!({ "count": instances.len(), "instances": instances }), summary)
}

fn describe(found: &FoundInstance, bytes: u64) -> Value {
    let state = match (found.running, found.restored) {
        (true, _) => "running",
        (false, true) => "stopped",
        (false, false) => "unfinished",
    };
    let mut value = json!({ "name": found.name, "state": state, "size_bytes": bytes });
    if let Some(marker) = &found.marker {
        value["run"] = marker.run.as_str().into();
        value["step"] = marker.key.rsplit('/').next().unwrap_or_default().into();
        value["wall"] = marker.wall.as_str().into();
        value["created_ms"] = marker.created_ms.into();
    }
    if let Some(port) = found.holds() {
        value["port"] = port.into();
    }
    value
}
