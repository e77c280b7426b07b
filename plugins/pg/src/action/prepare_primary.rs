//! `pg/prepare-primary`: what a promoted server needs before the application writes to it.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, Runtime, postgres::Value};
use serde::Deserialize;
use serde_json::json;

use crate::{
    server::{self, Capabilities},
    standby,
};

const SYNCHRONOUS: &str = "synchronous_standby_names";
const PAUSE_MS: u64 = 50;
const RELOADED_WITHIN_MS: u64 = 10_000;
/// More than any application hands out in the seconds that are lost, and little of a bigint.
const FORWARD: u32 = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    forward: Option<u32>,
    #[serde(default)]
    slots: Vec<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "prepare-primary",
        Effect::Mutate,
        "Makes a promoted server ready for the application: no commit waits for a standby that is not there, sequences \
         are set forward so that no number is handed out twice that the old primary had handed out, slots are made, and \
         what needs a person is listed. A repeated attempt sets sequences forward again: numbers are left out, and none \
         comes twice.",
    )
    .parameter("server", "target<postgres:write>", "The promoted server; sequences are those of its database.")
    .optional("forward", "int", "By how many numbers each sequence is set forward (10000); 0 leaves them.")
    .optional("slots", "list<string>", "Physical replication slots for the standbys to come.")
    .output("waited_for", "string", "What `synchronous_standby_names` said before; it is empty now.")
    .output("sequences", "int", "How many sequences were set forward.")
    .output("sequences_left", "list<string>", "Sequences that end before that: they stand as they stood.")
    .output("other_databases", "list<string>", "Databases whose sequences were not looked at.")
    .output("prepared", "list<string>", "Prepared transactions: they hold their locks until somebody ends them.")
    .output("unlogged", "list<string>", "Unlogged tables, which are empty now.")
    .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let connection = caps.open(&parameters.server)?;
    if standby::look(&connection)?.in_recovery {
        let message = "the server is a standby: promote it first";
        return Err(Failure::permanent("pg-still-standby", message));
    }
    let waited_for = wait_for_nobody(caps, &connection)?;
    let forward = parameters.forward.unwrap_or(FORWARD);
    let moved = if forward == 0 { Vec::new() } else { set_forward(&connection, forward)? };
    let (moved, left): (Vec<_>, Vec<_>) = moved.into_iter().partition(|(_, fits)| *fits);
    let left: Vec<String> = left.into_iter().map(|(name, _)| name).collect();
    for slot in &parameters.slots {
        let sql = "SELECT pg_create_physical_replication_slot(s.name, true)::text AS made
                     FROM (SELECT $1::text::name AS name) AS s
                    WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = s.name)";
        connection.query(sql, &[Value::from(slot.as_str())])?;
    }
    let prepared = names(&connection, PREPARED)?;
    let unlogged = names(&connection, UNLOGGED)?;
    let others = names(&connection, OTHER_DATABASES)?;
    let summary = format!(
        "{} sequences set forward by {forward}, {} left; {} prepared transactions, {} unlogged tables{}",
        moved.len(),
        left.len(),
        prepared.len(),
        unlogged.len(),
        if others.is_empty() { String::new() } else { format!("; not looked at: {}", others.join(", ")) }
    );
    let outputs = json!({
        "waited_for": waited_for,
        "sequences": moved.len(),
        "sequences_left": left,
        "other_databases": others,
        "prepared": prepared,
        "unlogged": unlogged,
    });
    Outcome::new(outputs, summary)
}

const PREPARED: &str = "SELECT format('%s (%s, %s, since %s)', gid, database, owner,
        to_char(prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')) AS name FROM pg_prepared_xacts ORDER BY prepared";
const UNLOGGED: &str =
    "SELECT c.oid::regclass::text AS name FROM pg_class AS c WHERE relpersistence = 'u' AND relkind = 'r' ORDER BY 1";
const OTHER_DATABASES: &str = "SELECT datname::text AS name FROM pg_database
        WHERE datallowconn AND NOT datistemplate AND datname NOT IN (current_database(), 'postgres') ORDER BY 1";

/// The rows of a query with one column of texts.
fn names(connection: &impl Connection, sql: &str) -> Result<Vec<String>, Failure> {
    connection.query(sql, &[])?.iter().map(|row| row.get("name")).collect()
}

/// The list of a configuration that came from the old primary would let the first commit wait for ever. What it was.
fn wait_for_nobody(caps: &impl Runtime, connection: &impl Connection) -> Result<String, Failure> {
    let before = server::setting(connection, SYNCHRONOUS)?.unwrap_or_default();
    if before.is_empty() {
        return Ok(before);
    }
    connection.execute(&format!("ALTER SYSTEM SET {SYNCHRONOUS} = ''"), &[])?;
    connection.query("SELECT pg_reload_conf() AS reloaded", &[])?;
    let end_ms = caps.now_ms().saturating_add(RELOADED_WITHIN_MS);
    while server::setting(connection, SYNCHRONOUS)?.is_some_and(|names| !names.is_empty()) {
        if caps.now_ms() >= end_ms || !caps.sleep_ms(PAUSE_MS) {
            let message = format!("{SYNCHRONOUS} is not empty yet");
            return Err(Failure::transient("pg-reload-late", message));
        }
    }
    Ok(before)
}

/// Each sequence of the database, and whether it could be set forward. Its numbers are in the WAL up to 32 ahead, and only those of the
/// WAL that arrived are here.
fn set_forward(connection: &impl Connection, forward: u32) -> Result<Vec<(String, bool)>, Failure> {
    let rows = connection.query(
        "SELECT s.name, CASE WHEN s.fits THEN setval(s.name::regclass, s.target::bigint, true) END IS NOT NULL AS moved
           FROM (SELECT format('%I.%I', schemaname, sequencename) AS name, t.target,
                        t.target BETWEEN min_value AND max_value AS fits
                   FROM pg_sequences,
                        LATERAL (SELECT coalesce(last_value, start_value)::numeric + $1::bigint * increment_by::numeric) AS t (target)
                ) AS s ORDER BY 1",
        &[Value::from(forward)],
    )?;
    rows.iter().map(|row| Ok((row.get("name")?, row.get("moved")?))).collect()
}
