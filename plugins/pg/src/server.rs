//! The server that an action talks to, and what it says of itself.

use std::collections::BTreeMap;

use lifeboat_plugin::{Action, Connection, Failure, Machine, Postgres, Runtime, postgres::Value};

use crate::{marker, wal_name::SegmentSize};

/// Everything that an action may use.
pub trait Capabilities: Runtime + Postgres + Machine {}

impl<C: Runtime + Postgres + Machine> Capabilities for C {}

/// Which server is meant: one that plays a role, or an instance that a run has restored on a machine.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// A role.
    pub server: Option<String>,
    /// The machine of an instance.
    pub machine: Option<String>,
    /// The instance.
    pub instance: Option<String>,
}

impl Which {
    /// The names of its parameters.
    pub const NAMES: [&str; 3] = ["server", "machine", "instance"];

    /// Declares them.
    pub fn declare(action: Action) -> Action {
        action
            .optional("server", "target<postgres:read>", "The server.")
            .optional("machine", "target<machine:read>", "The machine of a copy.")
            .optional("instance", "string", "The copy, as `pg/restore` named it.")
    }

    /// Opens a connection; fails with `pg-which-server` where it is not one of the two.
    pub fn open<C: Capabilities>(&self, caps: &C) -> Result<C::Connection, Failure> {
        match (&self.server, &self.machine, &self.instance) {
            (Some(server), None, None) => Ok(caps.open(server)?),
            (None, Some(machine), Some(instance)) => {
                let marker = marker::read(caps, machine, instance)?;
                Ok(marker.open(caps, machine, &marker::folder(caps, machine, instance)?)?)
            }
            _ => Err(Failure::invalid_input(
                "pg-which-server",
                "say either `server`, or `machine` and `instance`: exactly one server is meant",
            )),
        }
    }
}

/// What identifies a cluster and how its WAL is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Made when the cluster was; never changes.
    pub system_identifier: u64,
    /// Of its WAL.
    pub segment_size: SegmentSize,
    /// Which it writes on, or which is to be followed.
    pub timeline: u32,
    /// `150014` for 15.14.
    pub version: i64,
    /// OID of the database of the connection.
    pub database: u32,
}

/// Asks the server for its facts. The control file knows of a promotion only after the next checkpoint, so the timeline is the
/// one in the name of the segment that is written; in recovery, the newest of which anything was received or replayed.
pub fn facts(connection: &impl Connection) -> Result<Facts, Failure> {
    let rows = connection.query(
        "SELECT s.system_identifier::text AS system_identifier,
                CASE WHEN pg_is_in_recovery()
                     THEN greatest(c.timeline_id, r.min_recovery_end_timeline,
                                   (SELECT received_tli FROM pg_stat_wal_receiver))::bigint
                     ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END AS timeline,
                current_setting('server_version_num')::bigint AS version,
                (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size') AS segment_size,
                (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database
           FROM pg_control_system() AS s, pg_control_checkpoint() AS c, pg_control_recovery() AS r",
        &[],
    )?;
    let row = rows.one()?;
    let identifier: String = row.get("system_identifier")?;
    let bytes: i64 = row.get("segment_size")?;
    let segment_size = u64::try_from(bytes).ok().and_then(SegmentSize::new);
    Ok(Facts {
        // The catalog's type is a signed integer, the identifier is not.
        system_identifier: identifier.parse::<i64>().map(i64::cast_unsigned).map_err(|_| odd("system_identifier"))?,
        segment_size: segment_size.ok_or_else(|| odd("wal_segment_size"))?,
        timeline: row.get("timeline")?,
        version: row.get("version")?,
        database: row.get("database")?,
    })
}

fn odd(what: &str) -> Failure {
    Failure::permanent("pg-odd-answer", format!("the server gave a value for {what} that no server has"))
}

/// A moment in the forms that are compared with file times and with pg_waldump's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970 (UTC).
    pub ms: u64,
    /// `2026-11-21 03:55:29.073844`, UTC.
    pub text: String,
}

/// The server reads the time stamp, so that there is one reader of time stamps for everything.
pub fn moment(connection: &impl Connection, timestamp: &str) -> Result<Moment, Failure> {
    moment_before(connection, timestamp, 0)
}

/// So many seconds before a time stamp.
pub fn moment_before(connection: &impl Connection, timestamp: &str, seconds: i64) -> Result<Moment, Failure> {
    let rows = connection.query(
        "SELECT floor(extract(epoch FROM t.at) * 1000)::bigint AS ms,
                to_char(t.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS text
           FROM (SELECT $1::text::timestamptz - $2::bigint * interval '1 second' AS at) AS t",
        &[Value::from(timestamp), Value::from(seconds)],
    )?;
    let row = rows.one()?;
    let ms: i64 = row.get("ms")?;
    Ok(Moment { ms: u64::try_from(ms).unwrap_or(0), text: row.get("text")? })
}

/// Whether the server has the setting in question; for one that a plain `SHOW` would refuse.
pub fn setting(connection: &impl Connection, name: &str) -> Result<Option<String>, Failure> {
    let rows = connection.query("SELECT current_setting($1::text, true) AS value", &[Value::from(name)])?;
    rows.one()?.get("value")
}

/// How an action is logged in, and limits of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// Values of integer settings, by name.
    pub limits: BTreeMap<String, i64>,
}

/// Asks the server who is logged in, and for the values of these integer settings.
pub fn login(connection: &impl Connection, settings: &[&str]) -> Result<Login, Failure> {
    let who = connection.query("SELECT session_user::text AS name, current_database()::text AS database", &[])?;
    let names: Vec<String> = settings.iter().map(|name| (*name).to_owned()).collect();
    let limits = connection.query(
        "SELECT name::text AS name, setting::bigint AS value FROM pg_settings WHERE name = ANY ($1::text[])",
        &[Value::from(names)],
    )?;
    let who = who.one()?;
    Ok(Login {
        user: who.get("name")?,
        database: who.get("database")?,
        limits: limits.iter().map(|row| Ok((row.get("name")?, row.get("value")?))).collect::<Result<_, Failure>>()?,
    })
}
