//! `pg/direct-traffic`: the application's endpoint leads to a server.

use lifeboat_plugin::{Action, Call, Connection, Effect, Endpoint, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::server::Capabilities;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    endpoint: String,
    server: String,
    address: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "direct-traffic",
        Effect::Mutate,
        "Directs the application's endpoint to a server that takes writes, and reads back that it leads there.",
    )
    .parameter("endpoint", "target<endpoint:write>", "The application's endpoint.")
    .parameter("server", "target<postgres:read>", "The server.")
    .optional(
        "address",
        "string",
        "`host:port` of the server as the endpoint reaches it (the address at which the engine does); empty means that one too.",
    )
    .output("before", "string", "Where it led before.")
    .output("address", "string", "Where it leads now.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let Parameters { endpoint, server, address } = call.parameters()?;
    let address = address_of(&caps.open(&server)?, &server, address)?;
    let before = caps.current(&endpoint)?;
    caps.switch(&endpoint, &address)?;
    leads_to(caps, &endpoint, &address)?;
    let summary = format!("the endpoint leads to {address}, and led to {before}");
    Outcome::new(json!({ "before": before, "address": address }), summary)
}

/// Where a server that takes writes is reached: at this address, or else at that at which the engine reaches it.
pub(super) fn address_of(
    connection: &impl Connection,
    server: &str,
    address: Option<String>,
) -> Result<String, Failure> {
    let rows = connection.query(
        "SELECT pg_catalog.pg_is_in_recovery() AS standby, pg_catalog.host(pg_catalog.inet_server_addr()) AS host,
                pg_catalog.inet_server_port()::bigint AS port",
        &[],
    )?;
    let row = rows.one()?;
    if row.get("standby")? {
        let message = format!("`{server}` is in recovery and takes no writes");
        return Err(Failure::permanent("pg-not-primary", message));
    }
    if let Some(address) = address.filter(|address| !address.is_empty()) {
        return Ok(address);
    }
    match (row.get::<Option<String>>("host")?, row.get::<Option<i64>>("port")?) {
        (Some(host), Some(port)) if host.contains(':') => Ok(format!("[{host}]:{port}")),
        (Some(host), Some(port)) => Ok(format!("{host}:{port}")),
        _ => {
            let message = format!("`{server}` is reached by a socket: say in `address` how the endpoint reaches it");
            Err(Failure::invalid_input("pg-no-address", message))
        }
    }
}

/// Fails with `pg-not-directed` where the endpoint leads elsewhere.
pub(super) fn leads_to(caps: &impl Endpoint, endpoint: &str, address: &str) -> Result<(), Failure> {
    let now = caps.current(endpoint)?;
    if now == address {
        return Ok(());
    }
    let message = format!("the endpoint leads to {now}, and has to lead to {address}");
    Err(Failure::transient("pg-not-directed", message))
}
