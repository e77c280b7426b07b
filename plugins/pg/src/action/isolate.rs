//! `pg/isolate`: nobody but the engine reaches a server any more, and everything that it wrote is in the archive.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, machine};
use serde::Deserialize;
use serde_json::json;

use super::switch_wal;
use crate::{
    call::digest::short_hash,
    repair::{ServerFiles, check_cluster},
    server::{self, Capabilities, databases::some, identifier::quote_identifier},
    wal::{archive::ARCHIVE, cluster},
};

const PAUSE_MS: u64 = 200;
/// So often it is looked for sessions of others.
const LOOKS: usize = 100;
/// So many looks without any prove that none comes again.
const QUIET_LOOKS: usize = 3;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    host: String,
    machine: String,
    archive: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "isolate",
        Effect::Mutate,
        "Cuts a compromised server off: its pg_hba.conf lets in nobody but the engine's login from the engine's address \
         (the file as it was is kept beside it), every other session is ended, and the WAL up to then is archived. The \
         server keeps running, because copies ask it who it is, and because its memory is evidence. What runs inside of \
         it besides (background workers) is named. It is no firewall: who has the engine's password can still come in \
         from the engine's machine.",
    )
    .parameter("server", "target<postgres:write>", "The server.")
    .parameter("host", "target<machine:write>", "The machine that it runs on; the folder `data` of its binding is its data folder.")
    .parameter("machine", "target<machine:read>", "Where the WAL archive is.")
    .optional("archive", "string", "Folder of the binding with the WAL archive (`archive`).")
    .output("system_identifier", "string", "Of its cluster.")
    .output("lsn", "string", "Up to here everything is archived.")
    .output("ended", "int", "How many sessions were ended.")
    .output("workers", "list<string>", "Background workers that are not the server's own.")
    .output("prepared", "int", "Transactions that are prepared and not ended; copies have their locks.")
    .output("kept", "string", "The access file as it was, on the host.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let host = parameters.host.as_str();
    let connection = caps.open(&parameters.server)?;
    let facts = cluster::facts(&connection)?;
    let original = ServerFiles::find(caps, host)?;
    check_cluster(&original, facts.system_identifier)?;
    let path = format!("{}/pg_hba.conf", original.data);
    check_place(&connection)?;
    let kept = format!("{path}.before-{}", short_hash(&call.key));
    match caps.create_file(host, &kept, &caps.read_file(host, &path)?) {
        Ok(()) => {}
        // An earlier attempt kept it.
        Err(machine::Error::Denied(reason)) if reason.code == "machine-exists" => {}
        Err(error) => return Err(error.into()),
    }
    let login = server::login(&connection, &[])?;
    caps.write_file(host, &path, access(&connection, &login.user)?.as_bytes())?;
    connection.query("SELECT pg_catalog.pg_reload_conf() AS reloaded", &[])?;
    let ended = end_others(caps, &connection)?;
    let archive = parameters.archive.as_deref().unwrap_or(ARCHIVE);
    let (lsn, _) = switch_wal::switch(caps, &connection, Some((parameters.machine.as_str(), archive)), true)?;
    let workers = workers(&connection)?;
    let sql = "SELECT pg_catalog.count(*)::bigint AS count FROM pg_catalog.pg_prepared_xacts";
    let prepared: i64 = connection.query(sql, &[])?.one()?.get("count")?;
    let mut summary =
        format!("{ended} sessions were ended, nobody else can log in, and the WAL is archived up to {lsn}");
    if !workers.is_empty() {
        summary = format!("{summary}; still running inside: {}", some(&workers));
    }
    let outputs = json!({ "system_identifier": facts.system_identifier.to_string(), "lsn": lsn, "ended": ended, "workers": workers, "prepared": prepared, "kept": kept });
    Outcome::new(outputs, summary)
}

/// Fails with `pg-access-elsewhere` where the server reads its access file from somewhere else.
fn check_place(connection: &impl Connection) -> Result<(), Failure> {
    let rows = connection.query(
        "SELECT pg_catalog.current_setting('hba_file') AS file, pg_catalog.current_setting('data_directory') || '/pg_hba.conf' AS usual",
        &[],
    )?;
    let (file, usual): (String, String) = (rows.one()?.get("file")?, rows.one()?.get("usual")?);
    if file == usual {
        return Ok(());
    }
    let message =
        format!("the server reads who may log in from {file}, and not from its data folder: cut it off by the network");
    Err(Failure::permanent("pg-access-elsewhere", message))
}

/// The engine's login, from where it comes, and nobody else.
fn access(connection: &impl Connection, user: &str) -> Result<String, Failure> {
    let rows = connection.query("SELECT pg_catalog.host(pg_catalog.inet_client_addr()) AS address", &[])?;
    let address: Option<String> = rows.one()?.get("address")?;
    let user = quote_identifier(user);
    let line = match address {
        Some(address) if address.contains(':') => format!("host all {user} {address}/128 scram-sha-256"),
        Some(address) => format!("host all {user} {address}/32 scram-sha-256"),
        None => format!("local all {user} scram-sha-256"),
    };
    Ok(format!("# Written by Lifeboat: the server is cut off.\n{line}\n"))
}

/// Ends every session but those of the engine, until none comes any more; how many there were.
fn end_others(caps: &impl Capabilities, connection: &impl Connection) -> Result<u64, Failure> {
    let (mut ended, mut quiet) = (0, 0);
    for _ in 0..LOOKS {
        let rows = connection.query(
            "SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(pid))::bigint AS count FROM pg_catalog.pg_stat_activity
              WHERE backend_type IN ('client backend', 'walsender') AND pid <> pg_catalog.pg_backend_pid()
                AND NOT (usename = session_user AND client_addr IS NOT DISTINCT FROM pg_catalog.inet_client_addr())",
            &[],
        )?;
        let count: u64 = rows.one()?.get("count")?;
        ended += count;
        quiet = if count == 0 { quiet + 1 } else { 0 };
        if quiet == QUIET_LOOKS {
            return Ok(ended);
        }
        if !caps.sleep_ms(PAUSE_MS) {
            break;
        }
    }
    let message =
        "others still log in: cut the server off by the network, or see which line of pg_hba.conf lets them in";
    Err(Failure::transient("pg-not-cut-off", message))
}

fn workers(connection: &impl Connection) -> Result<Vec<String>, Failure> {
    let rows = connection.query(
        "SELECT backend_type || coalesce(' of ' || datname, '') AS worker FROM pg_catalog.pg_stat_activity
          WHERE backend_type NOT IN ('client backend', 'walsender', 'walwriter', 'background writer', 'checkpointer', 'archiver', 'startup',
                'autovacuum launcher', 'autovacuum worker', 'logical replication launcher', 'parallel worker', 'walreceiver', 'logger',
                'walsummarizer', 'slotsync worker', 'standalone backend') ORDER BY 1",
        &[],
    )?;
    rows.iter().map(|row| row.get("worker")).collect()
}
