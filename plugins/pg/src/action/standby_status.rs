//! `pg/standby-status`: what a standby has, and what a promotion of it would find.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    server::Capabilities,
    standby::{self, milliseconds},
    wal::cluster,
};

const STALE_AFTER: &str = "15m";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    stale_after: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "standby-status",
        Effect::Read,
        "Reports how far a standby is, whether it still receives WAL, and what a promotion of it would meet. Fails if \
         the server is a primary.",
    )
    .parameter("server", "target<postgres:read>", "The standby.")
    .optional("stale_after", "duration", "The age of its newest commit from which on it counts as stale (15m).")
    .maybe_output("received", "string", "The end of the WAL that was streamed to it since it started.")
    .maybe_output("replayed", "string", "The end of the WAL that it replayed.")
    .output("end", "string", "The further of both.")
    .output("timeline", "int", "The timeline that it follows.")
    .output("receives", "bool", "Whether a WAL receiver runs.")
    .output("replay_paused", "bool", "Whether somebody paused the replay.")
    .output("apply_delay_ms", "int", "`recovery_min_apply_delay`.")
    .maybe_output(
        "last_commit_age_s",
        "float",
        "The age of the newest commit that it replayed. If the application was quiet, more than the lag.",
    )
    .output("stale", "bool", "Whether that is older than `stale_after`, or not known.")
    .output("prepared", "list<string>", "Prepared transactions, which keep their locks across a promotion.")
    .output(
        "not_waiting",
        "list<string>",
        "Roles and databases whose commits wait for no standby (`synchronous_commit` is `off` or `local` for them).",
    )
    .idempotent()
}

/// The setting of a role or a database is in a table, which the standby has too. What a session sets itself is nowhere.
const NOT_WAITING: &str = "SELECT trim(format('%s %s', 'role ' || r.rolname, 'database ' || d.datname)) AS name
      FROM pg_db_role_setting AS s
      LEFT JOIN pg_roles AS r ON r.oid = s.setrole LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
     WHERE EXISTS (SELECT FROM unnest(s.setconfig) AS c (text) WHERE c.text ~* '^synchronous_commit=(off|local)$') ORDER BY 1";

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let limit_s = milliseconds(parameters.stale_after.as_deref().unwrap_or(STALE_AFTER))? as f64 / 1000.0;
    let connection = caps.open(&parameters.server)?;
    let standby = standby::look(&connection)?;
    standby.check_in_recovery()?;
    let timeline = cluster::facts(&connection)?.timeline;
    let rows = connection.query(NOT_WAITING, &[])?;
    let not_waiting = rows.iter().map(|row| row.get("name")).collect::<Result<Vec<String>, Failure>>()?;
    let end = standby.end();
    let mut outputs = json!({
        "end": end.to_string(),
        "timeline": timeline,
        "receives": standby.receivers > 0,
        "replay_paused": standby.paused,
        "apply_delay_ms": standby.apply_delay_ms,
        "stale": standby.last_commit_age_s.is_none_or(|age| age > limit_s),
        "prepared": standby.prepared,
        "not_waiting": not_waiting,
    });
    let positions = [("received", standby.received), ("replayed", standby.replayed)];
    for (name, position) in positions {
        if let Some(position) = position {
            outputs[name] = position.to_string().into();
        }
    }
    let age = standby.last_commit_age_s.map(|age| {
        outputs["last_commit_age_s"] = age.into();
        format!(", whose newest commit is {age:.1} s old")
    });
    let receives = if standby.receivers > 0 { "still receives" } else { "receives nothing" };
    let summary =
        format!("it has the WAL up to {end} on timeline {timeline}{}, and {receives}", age.unwrap_or_default());
    Outcome::new(outputs, summary)
}
