//! `pg/stop-server`: stops a server on its own machine and leaves its files as they are.

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
        "stop-server",
        Effect::Destroy,
        "Stops a server (a fast shutdown) on its own machine. Its files stay as they are. Succeeds if it does not run.",
    )
    .parameter(
        "host",
        "target<machine:destroy>",
        "The machine that it runs on; the folder `data` of its binding is its data folder.",
    )
    .parameter("system_identifier", "string", "Of the server that is meant; another one is not stopped.")
    .output("data", "string", "Its data folder.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let Parameters { host, system_identifier } = call.parameters()?;
    let server = ServerFiles::find(caps, &host)?;
    check_cluster(&server, identifier(&system_identifier)?)?;
    server.stop()?;
    Outcome::new(json!({ "data": server.data }), format!("the server does not run; its files are in {}", server.data))
}

/// The identifier of a cluster in a parameter.
pub(super) fn identifier(text: &str) -> Result<u64, Failure> {
    let odd = |_| Failure::invalid_input("pg-odd-answer", format!("`{text}` is not the identifier of a cluster"));
    text.parse().map_err(odd)
}
