//! `pg/check-stopped`: a server that was left does not run any more.

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    repair::{ServerFiles, check_cluster},
    server::Capabilities,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    host: String,
    system_identifier: String,
}

pub(super) fn action() -> Action {
    Action::new(
        "check-stopped",
        Effect::Read,
        "Fails if a server that the application has left runs on its machine: two that run could both be written to.",
    )
    .parameter(
        "host",
        "target<machine:read>",
        "The machine of the server; the folder `data` of its binding is its data folder.",
    )
    .parameter("system_identifier", "string", "Of the server that is meant.")
    .output("data", "string", "Its data folder.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let Parameters { host, system_identifier } = call.parameters()?;
    let old = ServerFiles::find(caps, &host)?;
    check_cluster(&old, super::stop_server::identifier(&system_identifier)?)?;
    if caps.server_runs(&host, &old.data)? {
        let message = format!("the old server runs in {}: whoever still reaches it writes what will be lost", old.data);
        return Err(Failure::permanent("pg-still-runs", message));
    }
    Outcome::new(json!({ "data": old.data }), format!("no server runs in {}", old.data))
}
