//! `pg/archive-status`: whether a server archives its WAL.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    call::duration,
    server::{self, Capabilities},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    max_age: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "archive-status",
        Effect::Read,
        "Reports what a server archived last. Fails if it does not archive, if its archiver is failing, or if the \
         last success is older than `max_age`.",
    )
    .parameter("server", "target<postgres:read>", "The server.")
    .optional("max_age", "duration", "Maximum age of the last archived segment.")
    .output("archived_count", "int", "Segments archived since the statistics were reset.")
    .output("failed_count", "int", "Failed attempts since then.")
    .maybe_output("last_archived", "string", "The last archived file.")
    .maybe_output("last_archived_time", "timestamp", "When it was archived.")
    .maybe_output("age_seconds", "float", "How long ago that was.")
    .idempotent()
}

const STATUS: &str = "SELECT archived_count::bigint AS archived_count, failed_count::bigint AS failed_count,
        last_archived_wal::text AS last_archived, coalesce(last_failed_wal, '')::text AS last_failed,
        to_char(last_archived_time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS last_archived_time,
        extract(epoch FROM now() - last_archived_time)::float8 AS age_seconds,
        coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing
   FROM pg_stat_archiver";

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let max_age_ms = parameters.max_age.as_deref().map(|text| {
        duration::milliseconds(text)
            .ok_or_else(|| Failure::invalid_input("pg-duration", format!("`{text}` is not a duration such as `5m`")))
    });
    let max_age_ms = max_age_ms.transpose()?;
    let connection = caps.open(&parameters.server)?;
    if server::setting(&connection, "archive_mode")?.as_deref() == Some("off") {
        return Err(Failure::permanent("pg-not-archiving", "archive_mode is off: this server archives nothing"));
    }
    let rows = connection.query(STATUS, &[])?;
    let row = rows.one()?;
    let age: Option<f64> = row.get("age_seconds")?;
    let last: Option<String> = row.get("last_archived")?;
    if row.get("failing")? {
        let failed: String = row.get("last_failed")?;
        let message = format!("archiving {failed} failed, and nothing has been archived since");
        return Err(Failure::permanent("pg-archiver-failing", message));
    }
    if let Some(limit) = max_age_ms
        && age.is_none_or(|seconds| seconds * 1000.0 > limit as f64)
    {
        let since = age.map_or("nothing has been archived yet".to_owned(), |it| {
            format!("the last segment was archived {it:.0} s ago")
        });
        let limit = parameters.max_age.unwrap_or_default();
        return Err(Failure::permanent("pg-archive-late", format!("{since}, more than {limit}")));
    }
    let count: i64 = row.get("archived_count")?;
    let mut outputs = json!({ "archived_count": count, "failed_count": row.get::<i64>("failed_count")? });
    if let (Some(last), Some(age)) = (&last, age) {
        outputs["last_archived"] = json!(last);
        outputs["age_seconds"] = json!(age);
        outputs["last_archived_time"] = json!(row.get::<String>("last_archived_time")?);
    }
    Outcome::new(outputs, format!("{count} files archived, last {}", last.as_deref().unwrap_or("none")))
}
