//! `pg/confirm-cut-over`: the application's endpoint leads to the new server, and the old one does not run.

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use super::direct_traffic::{address_of, leads_to};
use crate::{
    repair::{ServerFiles, check_cluster},
    server::Capabilities,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    endpoint: String,
    server: String,
    address: Option<String>,
    host: String,
    system_identifier: String,
}

pub(super) fn action() -> Action {
    Action::new(
        "confirm-cut-over",
        Effect::Read,
        "Fails unless the application's endpoint leads to a server that takes writes, and the server that it led to before \
         does not run on its machine: two that run could both be written to.",
    )
    .parameter("endpoint", "target<endpoint:read>", "The application's endpoint.")
    .parameter("server", "target<postgres:read>", "The new server.")
    .optional("address", "string", "As in `pg/direct-traffic`.")
    .parameter("host", "target<machine:read>", "The machine of the old server; the folder `data` of its binding is its data folder.")
    .parameter("system_identifier", "string", "Of the old server.")
    .output("address", "string", "Where the endpoint leads.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let Parameters { endpoint, server, address, host, system_identifier } = call.parameters()?;
    let address = address_of(&caps.open(&server)?, &server, address)?;
    leads_to(caps, &endpoint, &address)?;
    let old = ServerFiles::find(caps, &host)?;
    check_cluster(&old, super::stop_server::identifier(&system_identifier)?)?;
    if caps.server_runs(&host, &old.data)? {
        let message = format!("the old server runs in {}: whoever still reaches it writes what will be lost", old.data);
        return Err(Failure::permanent("pg-still-runs", message));
    }
    let summary = format!("the endpoint leads to {address}, and the old server does not run");
    Outcome::new(json!({ "address": address }), summary)
}
