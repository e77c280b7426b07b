//! `pg/promote`: a standby becomes the primary, and has shown that it lost nothing that it had.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, postgres::Value};
use serde::Deserialize;
use serde_json::json;

use crate::{
    server::Capabilities,
    standby::{self, lsn, milliseconds},
    wal::{cluster, segment::Lsn},
};

const WITHIN: &str = "1m";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    at_least: String,
    within: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "promote",
        Effect::Mutate,
        "Promotes a standby that no longer receives WAL: replay that is paused goes on, everything that it has is \
         replayed, and its new timeline must leave the old one at `at_least` or behind it. Nothing here keeps the old \
         primary from writing: prove that first.",
    )
    .parameter("server", "target<postgres:write>", "The standby.")
    .parameter("at_least", "string", "The end of the WAL that it must have replayed: that of `pg/stop-receiver`.")
    .optional("within", "duration", "How long it may take (1m).")
    .output("timeline", "int", "The new timeline.")
    .output("fork", "string", "Where it leaves the old one: what the old primary wrote beyond it is not here.")
    .output("resumed", "bool", "Whether replay was paused.")
    .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let at_least = lsn(&parameters.at_least)?;
    let within = parameters.within.as_deref().unwrap_or(WITHIN);
    let connection = caps.open(&parameters.server)?;
    let before = standby::look(&connection)?;
    if before.in_recovery {
        if before.receivers > 0 || before.has_upstream {
            let message =
                "the standby still follows its primary: stop its receiver first, so that what it has is final";
            return Err(Failure::denied("pg-receiver-runs", message));
        }
        if before.paused {
            connection.query("SELECT pg_wal_replay_resume()::text AS resumed", &[])?;
        }
        let seconds = milliseconds(within)?.div_ceil(1000).max(1);
        let seconds = i64::try_from(seconds).unwrap_or(i64::from(i32::MAX)).min(i64::from(i32::MAX));
        let sql = "SELECT pg_promote(true, $1::bigint::int) AS promoted";
        let promoted: bool = connection.query(sql, &[Value::from(seconds)])?.one()?.get("promoted")?;
        if !promoted {
            let message = format!("the standby is still in recovery {within} after it was told to end it");
            return Err(Failure::transient("pg-promotion-late", message));
        }
    }
    let (timeline, fork) = left_at(&connection, at_least)?;
    let outputs = json!({ "timeline": timeline, "fork": fork.to_string(), "resumed": before.paused });
    Outcome::new(outputs, format!("it is the primary on timeline {timeline}, which begins at {fork}"))
}

/// The timeline of a promoted server and where it begins; also for one that an earlier attempt promoted, or somebody else.
fn left_at(connection: &impl Connection, at_least: Lsn) -> Result<(u32, Lsn), Failure> {
    if standby::look(connection)?.in_recovery {
        return Err(Failure::transient("pg-promotion-late", "the server is in recovery again"));
    }
    let timeline = cluster::facts(connection)?.timeline;
    if timeline <= 1 {
        let message = "the server is a primary that was never promoted: it is not the standby that is meant";
        return Err(Failure::permanent("pg-not-standby", message));
    }
    let fork = standby::history(connection, timeline)?.begin();
    if fork < at_least {
        let message = format!(
            "timeline {timeline} begins at {fork}, before {at_least}: WAL that the standby had, or that the archive has, \
             was not replayed"
        );
        return Err(Failure::permanent("pg-promotion-lost-wal", message));
    }
    Ok((timeline, fork))
}
