//! `pg/start-receiver`: takes back what `pg/stop-receiver` did.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    server::{Capabilities, identifier::quote_literal},
    standby,
};

const SEEN_WITHIN: &str = "10s";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    upstream: Option<String>,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    apply_delay_ms: u64,
}

pub(super) fn action() -> Action {
    Action::new(
        "start-receiver",
        Effect::Mutate,
        "Gives a standby its `primary_conninfo` back, so that it follows its primary again. Whether that one can be \
         reached is not waited for.",
    )
    .parameter("server", "target<postgres:write>", "The standby.")
    .optional("upstream", "string", "The setting; without it, what the configuration file says counts again.")
    .optional("paused", "bool", "Pause the replay again (false).")
    .optional("apply_delay_ms", "int", "What `recovery_min_apply_delay` becomes (what the configuration file says).")
    .output("receives", "bool", "Whether a WAL receiver runs already.")
    .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let connection = caps.open(&parameters.server)?;
    standby::look(&connection)?.check_in_recovery()?;
    let sql = match parameters.upstream.as_deref() {
        Some(upstream) if !upstream.is_empty() => {
            format!("ALTER SYSTEM SET primary_conninfo = {}", quote_literal(upstream))
        }
        _ => "ALTER SYSTEM RESET primary_conninfo".to_owned(),
    };
    connection.execute(&sql, &[])?;
    let delay = match parameters.apply_delay_ms {
        0 => "ALTER SYSTEM RESET recovery_min_apply_delay".to_owned(),
        delay => format!("ALTER SYSTEM SET recovery_min_apply_delay = {delay}"),
    };
    connection.execute(&delay, &[])?;
    if parameters.paused {
        connection.query("SELECT pg_wal_replay_pause()::text AS paused", &[])?;
    }
    connection.query("SELECT pg_reload_conf() AS reloaded", &[])?;
    let Some(standby) = standby::wait(caps, &connection, SEEN_WITHIN, |seen| seen.has_upstream)? else {
        let message = "the standby follows nobody: no configuration file has a `primary_conninfo`, and none was given";
        return Err(Failure::permanent("pg-no-upstream", message));
    };
    let receives = standby.receivers > 0;
    let summary = if receives { "it receives WAL again" } else { "it looks for its primary again" };
    Outcome::new(json!({ "receives": receives }), summary)
}
