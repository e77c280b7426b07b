//! The right to change a server, kept by the server itself: engines that share no state folder meet there.
//!
//! An engine that works on a run holds a connection of its own with an advisory lock, on a primary and on a standby alike. It is
//! gone with the engine, so nobody has to take it over. Advisory locks are of one database; who holds the same key in another one
//! is looked for too. Behind a pooler that gives out sessions for one transaction only, a lock would stay with a session of the
//! pooler and belong to no run: none is taken there, and the person who starts the run is told.

use lifeboat_core::{action::Effect, bindings::Postgres, failure::Reason};
use tokio_postgres::{Client, Row};

use super::{
    connect,
    connection::{Connection, failed},
    invalid,
};
use crate::{call::CallContext, wit::lifeboat::postgres::postgres::Error};

/// Of all advisory locks, those of Lifeboat: `Life`, `boat`.
const KEY: &str = "1281975909, 1651466612";
/// A server keeps so much of an application's name.
const NAME_BYTES_MAX: usize = 63;
/// What a server says to a statement whose other half was sent to another one: `invalid_sql_statement_name`,
/// `duplicate_prepared_statement`.
const MIXED_UP: [&str; 2] = ["26000", "42P05"];
/// How often it is looked whether a pooler hands out sessions for a transaction only.
const ROUNDS: u32 = 3;
/// Begins the name by which a lease is found and read.
const PREFIX: &str = "lifeboat lease ";

/// What came of trying to take the lease of a server.
pub(super) enum Taken {
    /// It is held as long as this is kept.
    Held(Box<ServerLease>),
    /// Another engine has it: which one, for people.
    By(String),
    /// A pooler stands before the server.
    Pooled,
}

/// The lease of a server.
pub(super) struct ServerLease {
    connection: Connection,
}

impl ServerLease {
    /// Whether the connection that holds it is gone, and it with the connection.
    pub(super) fn is_lost(&self) -> bool {
        self.connection.client().is_closed()
    }
}

/// The name under which a run holds leases: `lifeboat lease RUN PID@HOST`, as long as servers keep it.
pub(super) fn sign(holder: &lifeboat_runtime::holder::Holder) -> String {
    let name = format!("{PREFIX}{} {}@{}", holder.run, holder.pid, holder.host);
    name.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(NAME_BYTES_MAX).collect()
}

/// Takes the lease of the server, if no other engine has it.
pub(super) async fn take(context: &CallContext, role: &str, server: &Postgres, sign: &str) -> Result<Taken, Error> {
    let connection = open(context, role, server, sign).await?;
    let pooled = async {
        prepare(context, &connection).await?;
        is_pooled(context, &connection, role, server, sign).await
    };
    match pooled.await {
        Ok(false) => {}
        // A statement that was prepared on this connection is not known, or another connection's is.
        Err(Error::Sql(error)) if MIXED_UP.contains(&error.state.as_str()) => return Ok(Taken::Pooled),
        Ok(true) => return Ok(Taken::Pooled),
        Err(error) => return Err(error),
    }
    // Whether the lock was acquired is seen below: another holder of the key is in the list.
    one(context, &connection, &format!("SELECT pg_try_advisory_lock({KEY})")).await?;
    let others = others(context, &connection, sign).await?;
    Ok(match others {
        Some(holder) => Taken::By(holder),
        // Not held by another engine and not free: another session of this engine has it, as the server plays two roles under two
        // addresses.
        None => Taken::Held(Box::new(ServerLease { connection })),
    })
}

async fn open(context: &CallContext, role: &str, server: &Postgres, sign: &str) -> Result<Connection, Error> {
    let mut config = connect::login(context, server)?;
    config.host(&server.host).port(server.port).application_name(sign);
    connect::open(context, config, connect::encryption(&server.tls)?, Effect::Read, role).await
}

/// The session may be idle for hours, and a server must notice soon that the machine of a dead engine is gone.
async fn prepare(context: &CallContext, connection: &Connection) -> Result<(), Error> {
    const SETTINGS: &str = "SELECT set_config(s.name, v.value, false) FROM pg_settings AS s JOIN (VALUES \
         ('idle_session_timeout', '0'), ('statement_timeout', '15s'), ('tcp_keepalives_idle', '30'), \
         ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '60s')) \
         AS v(name, value) ON v.name = s.name";
    rows(context, connection, SETTINGS).await.map(drop)
}

/// Whether sessions are handed out for a transaction only. A pooler hands out the one that was used last, or one after the other, and
/// its other clients come in between. So it is asked more than once which session we have: again at once, and while a transaction of
/// another connection is open, which then has ours, or leaves us another one.
async fn is_pooled(
    context: &CallContext,
    connection: &Connection,
    role: &str,
    server: &Postgres,
    sign: &str,
) -> Result<bool, Error> {
    const PID: &str = "SELECT pg_backend_pid()";
    let pid = async |connection: &Connection| Ok::<i32, Error>(one(context, connection, PID).await?.get(0));
    let other = open(context, role, server, sign).await?;
    let command = async |sql: &str| {
        let work = async { other.client().batch_execute(sql).await.map_err(|error| failed(&error, role)) };
        bounded(context, work).await
    };
    let first = pid(connection).await?;
    for _ in 0..ROUNDS {
        let again = pid(connection).await?;
        command("BEGIN").await?;
        let theirs = pid(&other).await?;
        let beside = pid(connection).await?;
        command("ROLLBACK").await?;
        if theirs == first || again != first || beside != first {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Who else holds the key, in any database.
async fn others(context: &CallContext, connection: &Connection, sign: &str) -> Result<Option<String>, Error> {
    let sql = format!(
        "SELECT l.pid, a.application_name, \
                to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
         FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid) \
         WHERE l.locktype = 'advisory' AND l.granted AND (l.classid, l.objid) = ({KEY}) AND l.objsubid = 2 \
           AND l.pid <> pg_backend_pid() ORDER BY l.pid"
    );
    let found = rows(context, connection, &sql).await?;
    Ok(found.iter().find(|row| row.get::<_, Option<String>>(1).as_deref() != Some(sign)).map(holder))
}

/// In words; a login without `pg_read_all_stats` does not see the name of another login's session.
fn holder(row: &Row) -> String {
    let (pid, name, since): (i32, Option<String>, Option<String>) = (row.get(0), row.get(1), row.get(2));
    let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
    match name.as_deref().and_then(|name| name.strip_prefix(PREFIX)).and_then(|name| name.split_once(' ')) {
        Some((run, process)) => match process.split_once('@') {
            Some((process, host)) => format!("the run `{run}`, process {process} on {host}{since}"),
            None => format!("the run `{run}`{since}"),
        },
        None => format!("a run that this login cannot see (session {pid} of the server){since}"),
    }
}

async fn one(context: &CallContext, connection: &Connection, sql: &str) -> Result<Row, Error> {
    let first = rows(context, connection, sql).await?.into_iter().next();
    first.ok_or_else(|| invalid("pg-odd-answer", "the server answered without a row"))
}

async fn rows(context: &CallContext, connection: &Connection, sql: &str) -> Result<Vec<Row>, Error> {
    let client: &Client = connection.client();
    bounded(context, async { client.query(sql, &[]).await.map_err(|error| failed(&error, connection.role())) }).await
}

async fn bounded<T>(context: &CallContext, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    context.bounded(work).await.unwrap_or_else(|cut| Err(Error::Connection(cut.reason().into())))
}

/// The reason of an error, for the person who starts the run.
pub(super) fn reason(error: Error) -> Reason {
    match error {
        Error::Denied(reason) | Error::Connection(reason) | Error::Invalid(reason) => {
            Reason::new(reason.code, reason.message)
        }
        Error::Sql(error) => Reason::new("pg-sql", error.message),
    }
}
