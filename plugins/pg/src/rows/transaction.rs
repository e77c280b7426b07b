//! The one transaction of an action that writes to the server. Its id and its result are written to a file before COMMIT, and the
//! server's own commit log knows the rest: so an attempt that was interrupted is known to have taken effect or not.

use lifeboat_plugin::{
    Connection, Failure, Machine, Runtime, machine,
    postgres::{self, Isolation, Value},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Looks at a transaction that still runs, a fifth of a second apart.
const LOOKS_MAX: u32 = 50;
const PAUSE_MS: u64 = 200;

/// How long a statement waits for a lock before the transaction gives way to the application and is tried again.
const LOCK_TIMEOUT: &str = "10s";

/// What holds for the transaction whatever the role or the server's file says, where the server knows it: no limit of its own, as the
/// step has one; triggers and foreign keys as for everybody; and a COMMIT that is told is one that survives a crash. Of staging tables the
/// planner needs little more than how many rows they have.
const SETTINGS: &str = "SELECT set_config(v.name, v.value, true) FROM (VALUES ('lock_timeout', $1::text),
        ('transaction_timeout', '0'), ('session_replication_role', 'origin'), ('synchronous_commit', 'on'),
        ('default_statistics_target', '10')) AS v (name, value)
   JOIN pg_settings AS s ON s.name = v.name
  WHERE CASE v.name WHEN 'synchronous_commit' THEN s.setting = 'off' ELSE s.setting <> v.value END";

/// Begins it; its 64-bit id.
pub fn begin(primary: &impl Connection) -> Result<String, Failure> {
    primary.begin(Isolation::ReadCommitted)?;
    primary.query(SETTINGS, &[Value::from(LOCK_TIMEOUT)])?;
    primary.query("SELECT pg_current_xact_id()::text AS xid", &[])?.one()?.get("xid")
}

/// Records what the call returns, and commits. Fails with `pg-commit-unknown` where the connection is lost meanwhile; what the
/// server refuses goes through `refused`.
pub fn commit<T: Serialize>(
    caps: &impl Machine,
    primary: &impl Connection,
    machine: &str,
    path: &str,
    record: TransactionRecord<T>,
    refused: impl FnOnce(Failure) -> Failure,
) -> Result<T, Failure> {
    caps.write_file(machine, path, &record.print())?;
    match primary.commit() {
        Ok(()) => Ok(record.outputs),
        Err(postgres::Error::Connection(reason)) => {
            let message = format!("the connection was lost during COMMIT: {}", reason.message);
            Err(Failure::interrupted("pg-commit-unknown", message))
        }
        Err(error) => Err(refused(error.into())),
    }
}

/// What is written before COMMIT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransactionRecord<T> {
    /// Of the call.
    pub key: String,
    /// The transaction's 64-bit id.
    pub xid: String,
    /// What the call returns where the transaction committed.
    pub outputs: T,
}

impl<T: Serialize> TransactionRecord<T> {
    /// The file's content.
    pub fn print(&self) -> Vec<u8> {
        serde_json::json!(self).to_string().into_bytes()
    }
}

/// The result of an earlier attempt.
pub enum Past<T> {
    /// It committed.
    Done(T),
    /// It did not, or there was none.
    NotDone,
    /// Its result is unknown, and why.
    Unknown(String),
}

/// What an earlier attempt returned, if it committed; fails with `pg-merge-unknown` if that is unknown.
pub fn before<T: Serialize + DeserializeOwned>(
    caps: &(impl Machine + Runtime),
    primary: &impl Connection,
    machine: &str,
    path: &str,
    key: &str,
) -> Result<Option<T>, Failure> {
    match look_back(caps, primary, machine, path, key)? {
        Past::Done(outputs) => Ok(Some(outputs)),
        Past::NotDone => Ok(None),
        Past::Unknown(why) => Err(Failure::interrupted("pg-merge-unknown", why)),
    }
}

/// Without its file COMMIT was never sent; with it, the server knows.
pub fn look_back<T: Serialize + DeserializeOwned>(
    caps: &(impl Machine + Runtime),
    primary: &impl Connection,
    machine: &str,
    path: &str,
    key: &str,
) -> Result<Past<T>, Failure> {
    let content = match caps.read_file(machine, path) {
        Ok(content) => content,
        Err(machine::Error::NotFound(_)) => return Ok(Past::NotDone),
        Err(error) => return Err(error.into()),
    };
    let record: TransactionRecord<T> = serde_json::from_slice(&content)
        .map_err(|error| Failure::permanent("pg-merge-record", format!("{path} cannot be read: {error}")))?;
    if record.key != key {
        return Err(Failure::permanent("pg-merge-record", format!("{path} belongs to `{}`", record.key)));
    }
    for _ in 0..LOOKS_MAX {
        let rows =
            primary.query("SELECT pg_xact_status($1::text::xid8) AS status", &[Value::from(record.xid.as_str())])?;
        match rows.one()?.get::<Option<String>>("status")?.as_deref() {
            Some("committed") => return Ok(Past::Done(record.outputs)),
            Some("aborted") => return Ok(Past::NotDone),
            Some(_) if caps.sleep_ms(PAUSE_MS) => {}
            Some(_) => break,
            None => {
                let message =
                    format!("transaction {} is so old that the server no longer knows how it ended", record.xid);
                return Ok(Past::Unknown(message));
            }
        }
    }
    Ok(Past::Unknown(format!("transaction {} is still running on the server", record.xid)))
}
