//! `pg/wait-ready`: waits until a server answers queries.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    call::{duration, parameters},
    copy::which::Which,
    server::Capabilities,
};

const PAUSE_MS: u64 = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    timeout: Option<String>,
}

pub(super) fn action() -> Action {
    Which::declare(Action::new(
        "wait-ready",
        Effect::Read,
        "Waits until a server, or a restored copy, answers queries.",
    ))
    .optional("timeout", "duration", "How long to wait at most (1m).")
    .output("version", "string", "Its version.")
    .output("in_recovery", "bool", "Whether it is a standby or a paused copy.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let (which, parameters): (Which, Parameters) = parameters::split(call, &Which::NAMES)?;
    let timeout = parameters.timeout.as_deref().unwrap_or("1m");
    let timeout_ms = duration::milliseconds(timeout)
        .ok_or_else(|| Failure::invalid_input("pg-duration", format!("`{timeout}` is not a duration such as `1m`")))?;
    let end_ms = caps.now_ms().saturating_add(timeout_ms);
    loop {
        let failure = match ask(&which, caps) {
            Ok(outcome) => return Ok(outcome),
            Err(failure @ Failure::Transient(_)) => failure,
            Err(failure) => return Err(failure),
        };
        if caps.now_ms() >= end_ms || !caps.sleep_ms(PAUSE_MS) {
            return Err(failure.while_doing(format!("not ready after {timeout}")));
        }
    }
}

fn ask<C: Capabilities>(which: &Which, caps: &C) -> Result<Outcome, Failure> {
    let connection = which.open(caps)?;
    let rows = connection
        .query("SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS in_recovery", &[])?;
    let row = rows.one()?;
    let (version, in_recovery): (String, bool) = (row.get("version")?, row.get("in_recovery")?);
    let summary = format!("PostgreSQL {version} answers");
    Outcome::new(json!({ "version": version, "in_recovery": in_recovery }), summary)
}
