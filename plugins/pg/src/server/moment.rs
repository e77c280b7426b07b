//! Moments, as the server reads them.

use lifeboat_plugin::{Connection, Failure, postgres::Value};

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
