//! `pg/try-write`: whether a path takes a write, asked as an application would.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, postgres::Value};
use serde::Deserialize;
use serde_json::json;

use crate::{server::Capabilities, standby::milliseconds, wal::cluster};

const WITHIN: &str = "10s";
const PAUSE_MS: u64 = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    expected: Option<String>,
    timeline: Option<u32>,
    within: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "try-write",
        Effect::Mutate,
        "Commits a small message to the WAL on a path and with a login of the application, which changes no row. \
         `expected: accepted` fails if it is not committed, `expected: refused` if it is.",
    )
    .parameter("server", "target<postgres:write>", "The path: the endpoint of the application, with its login.")
    .optional("expected", "string", "`accepted` or `refused` (accepted).")
    .optional("timeline", "int", "The timeline of the server to which the path must lead (any).")
    .optional(
        "within",
        "duration",
        "How long it may take until a path is open (10s); one that must refuse is asked once.",
    )
    .output("accepted", "bool", "Whether the write was committed.")
    .output("said", "string", "What the path answered.")
    .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    match parameters.expected.as_deref().unwrap_or("accepted") {
        "accepted" => accepted(call, caps, &parameters),
        "refused" => refused(call, caps, &parameters),
        other => {
            let message = format!("`{other}` is neither `accepted` nor `refused`");
            Err(Failure::invalid_input("pg-expected", message))
        }
    }
}

fn accepted(call: &Call, caps: &impl Capabilities, parameters: &Parameters) -> Result<Outcome, Failure> {
    let within = parameters.within.as_deref().unwrap_or(WITHIN);
    let end_ms = caps.now_ms().saturating_add(milliseconds(within)?);
    let timeline = loop {
        let failure = match write(call, caps, &parameters.server) {
            Ok(timeline) => break timeline,
            Err(failure @ Failure::Transient(_)) => failure,
            Err(failure) => return Err(failure),
        };
        if caps.now_ms() >= end_ms || !caps.sleep_ms(PAUSE_MS) {
            return Err(failure.while_doing(format!("no write within {within}")));
        }
    };
    if let Some(expected) = parameters.timeline.filter(|expected| *expected != timeline) {
        let message = format!("the path leads to a server on timeline {timeline}, and {expected} is meant");
        return Err(Failure::permanent("pg-other-timeline", message));
    }
    let said = format!("a write was committed on timeline {timeline}");
    Outcome::new(json!({ "accepted": true, "said": said }), said)
}

/// A path that nobody answers on is as closed as one that refuses, as far as a write goes.
fn refused(call: &Call, caps: &impl Capabilities, parameters: &Parameters) -> Result<Outcome, Failure> {
    let said = match write(call, caps, &parameters.server) {
        Ok(timeline) => {
            let message = format!("a write was committed on timeline {timeline}: the path is open");
            return Err(Failure::permanent("pg-still-writable", message));
        }
        Err(failure @ (Failure::Transient(_) | Failure::Permanent(_))) => failure.reason().message.clone(),
        Err(failure) => return Err(failure),
    };
    let summary = format!("no write goes through: {said}");
    Outcome::new(json!({ "accepted": false, "said": said }), summary)
}

/// Commits a message; the timeline of the server that took it.
fn write(call: &Call, caps: &impl Capabilities, server: &str) -> Result<u32, Failure> {
    let connection = caps.open(server)?;
    let rows = connection.query("SELECT current_setting('transaction_read_only') = 'on' AS read_only", &[])?;
    if rows.one()?.get("read_only")? {
        return Err(Failure::permanent(
            "pg-path-reads-only",
            "the path leads to a server, or has a login, that only reads",
        ));
    }
    let sql = "SELECT pg_logical_emit_message(true, 'lifeboat', $1::text)::text AS lsn";
    connection.query(sql, &[Value::from(call.key.as_str())])?;
    Ok(cluster::facts(&connection)?.timeline)
}
