//! `pg/direct-traffic`: the application's endpoint leads to a server.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome};
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
    let connection = caps.open(&server)?;
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
    let address = match address.filter(|address| !address.is_empty()) {
        Some(address) => address,
        None => match (row.get::<Option<String>>("host")?, row.get::<Option<i64>>("port")?) {
            (Some(host), Some(port)) if host.contains(':') => format!("[{host}]:{port}"),
            (Some(host), Some(port)) => format!("{host}:{port}"),
            _ => {
                let message =
                    format!("`{server}` is reached by a socket: say in `address` how the endpoint reaches it");
                return Err(Failure::invalid_input("pg-no-address", message));
            }
        },
    };
    let before = caps.current(&endpoint)?;
    caps.switch(&endpoint, &address)?;
    let now = caps.current(&endpoint)?;
    if now != address {
        let message = format!("the endpoint leads to {now}, and was directed to {address}");
        return Err(Failure::transient("pg-not-directed", message));
    }
    Outcome::new(
        json!({ "before": before, "address": address }),
        format!("the endpoint leads to {address}, and led to {before}"),
    )
}
