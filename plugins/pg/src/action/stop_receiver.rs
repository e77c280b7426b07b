//! `pg/stop-receiver`: takes the WAL receiver of a standby away, so that what it has received is final.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{server::Capabilities, standby};

const WITHIN: &str = "30s";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    within: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "stop-receiver",
        Effect::Mutate,
        "Stops the WAL receiver of a standby for good: `primary_conninfo` becomes empty, and the step waits until no \
         receiver runs. Replay that is paused or late on purpose goes on, because it would keep the receiver. From then on the end of what was received is final, and a primary whose commits wait for this \
         standby can acknowledge none beyond it. `pg/start-receiver` takes it back.",
    )
    .parameter("server", "target<postgres:write>", "The standby.")
    .optional("within", "duration", "How long to wait for the end of the receiver (30s).")
    .output("received", "string", "The end of the WAL that it has.")
    .output(
        "upstream",
        "string",
        "The setting as it was, where only postgresql.auto.conf had it and no password is in it; empty otherwise.",
    )
    .output("paused", "bool", "Whether replay was paused.")
    .output("apply_delay_ms", "int", "What `recovery_min_apply_delay` was; it is 0 now.")
    .idempotent()
}

/// What `ALTER SYSTEM` is about to replace, for whoever takes it back. A password stays on the server.
const REPLACED: &str =
    "SELECT CASE WHEN s.sourcefile LIKE '%postgresql.auto.conf' AND s.setting !~* '(^|\\s)password\\s*='
        THEN s.setting ELSE '' END AS upstream FROM pg_settings AS s WHERE s.name = 'primary_conninfo'";

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let within = parameters.within.as_deref().unwrap_or(WITHIN);
    let connection = caps.open(&parameters.server)?;
    let before = standby::look(&connection)?;
    before.check_in_recovery()?;
    let upstream: String = connection.query(REPLACED, &[])?.one()?.get("upstream")?;
    // The process that replays is the one that ends the receiver: while it is paused, or waits on purpose, the receiver stays.
    if before.paused {
        connection.query("SELECT pg_wal_replay_resume()::text AS resumed", &[])?;
    }
    if before.apply_delay_ms > 0 {
        connection.execute("ALTER SYSTEM SET recovery_min_apply_delay = 0", &[])?;
    }
    if before.has_upstream {
        connection.execute("ALTER SYSTEM SET primary_conninfo = ''", &[])?;
    }
    connection.query("SELECT pg_reload_conf() AS reloaded", &[])?;
    let ended = standby::wait(caps, &connection, within, |seen| !seen.has_upstream && seen.receivers == 0)?;
    let Some(standby) = ended else {
        let message = format!("the WAL receiver still runs {within} after `primary_conninfo` was emptied");
        return Err(Failure::transient("pg-receiver-runs", message));
    };
    // One more look: the receiver writes what it has before it ends, and the first look may have come before that.
    let received = standby::look(&connection)?.end().max(standby.end()).to_string();
    let summary = format!("no receiver runs, and {received} is the end of what was received");
    let outputs = json!({
        "received": received,
        "upstream": upstream,
        "paused": before.paused,
        "apply_delay_ms": before.apply_delay_ms,
    });
    Outcome::new(outputs, summary)
}
