//! Waiting until a restored server has reached its target.

use lifeboat_plugin::{Connection, Failure, postgres};

use crate::{
    choice::Choice,
    instance::{Configuration, Instance},
    server::Capabilities,
    wal_name::Lsn,
};

/// Between two looks at a server that replays.
const PAUSE_MS: u64 = 100;
/// A standby that has not moved in so many looks, with all archived segments behind it, has replayed everything.
const STILL_LOOKS: u32 = 20;

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Goal<'a> {
    /// How the instance was configured.
    pub configuration: &'a Configuration,
    /// Whose login it knows.
    pub login_as: &'a str,
    /// What it replays.
    pub choice: &'a Choice,
}

/// Where a server stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Replayed so far.
    pub lsn: Lsn,
    /// Commit time of the last replayed transaction (RFC 3339).
    pub time: Option<String>,
    /// Whether it is in recovery.
    pub in_recovery: bool,
    /// Whether its replay is paused.
    pub paused: bool,
    /// Its version.
    pub version: String,
}

/// Waits until the server has reached its target and answers queries. The call's deadline bounds it.
pub fn wait<C: Capabilities>(instance: &Instance<'_, C>, goal: &Goal<'_>) -> Result<Reached, Failure> {
    let caps = instance.caps;
    let mut connection = None;
    let mut still = Still { lsn: Lsn(0), looks: 0 };
    loop {
        let open = match connection.take() {
            None => connect(instance, goal)?,
            open => open,
        };
        let state = open.as_ref().map(look).transpose()?.flatten();
        // A connection that was lost is not looked at again.
        connection = open.filter(|_| state.is_some());
        if let Some(reached) = state {
            report(caps, goal, reached.lsn);
            still.note(reached.lsn);
            if is_there(goal, &reached, &still) {
                return confirm(instance, goal, reached);
            }
        } else if connection.is_none() && !instance.is_running()? {
            return Err(instance.ended("the server ended without a word"));
        }
        if !caps.sleep_ms(PAUSE_MS) {
            return Err(Failure::interrupted("pg-restore-cut-off", "cut off while the copy replayed its WAL"));
        }
    }
}

/// Opens the instance; none while it starts.
fn connect<C: Capabilities>(instance: &Instance<'_, C>, goal: &Goal<'_>) -> Result<Option<C::Connection>, Failure> {
    match instance.caps.open_instance(instance.machine, goal.configuration.port, goal.login_as) {
        Ok(connection) => Ok(Some(connection)),
        Err(postgres::Error::Connection(_)) => Ok(None),
        Err(postgres::Error::Sql(error)) if error.is_transient() => Ok(None),
        Err(error) => Err(Failure::from(error).while_doing("logging in on the copy")),
    }
}

/// Where the server stands; none where the connection was lost, as it is when recovery ends badly.
fn look(connection: &impl Connection) -> Result<Option<Reached>, Failure> {
    let answer = connection.query(
        "SELECT pg_is_in_recovery() AS in_recovery,
                coalesce(CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() END, '') = 'paused' AS paused,
                coalesce(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0')::text AS lsn,
                to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS time,
                current_setting('server_version') AS version",
        &[],
    );
    let rows = match answer {
        Ok(rows) => rows,
        Err(postgres::Error::Connection(_)) => return Ok(None),
        Err(postgres::Error::Sql(error)) if error.is_transient() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let row = rows.one()?;
    let lsn: String = row.get("lsn")?;
    Ok(Some(Reached {
        lsn: lsn.parse().map_err(|error| Failure::permanent("pg-odd-answer", format!("{error}")))?,
        time: row.get("time")?,
        in_recovery: row.get("in_recovery")?,
        paused: row.get("paused")?,
        version: row.get("version")?,
    }))
}

struct Still {
    lsn: Lsn,
    looks: u32,
}

impl Still {
    fn note(&mut self, lsn: Lsn) {
        self.looks = if lsn == self.lsn { self.looks + 1 } else { 0 };
        self.lsn = lsn;
    }
}

fn is_there(goal: &Goal<'_>, reached: &Reached, still: &Still) -> bool {
    match (goal.configuration.promote, goal.configuration.target.is_empty()) {
        (true, _) => !reached.in_recovery,
        (false, false) => reached.paused,
        // The end of the last segment is not always replayed as such: what follows its last record is padding.
        (false, true) => still.looks >= STILL_LOOKS && reached.lsn > goal.choice.last_start,
    }
}

fn report(caps: &impl Capabilities, goal: &Goal<'_>, lsn: Lsn) {
    let start = goal.choice.backup.start_lsn.0;
    let total = goal.choice.end.0.saturating_sub(start);
    caps.progress(lsn.0.saturating_sub(start).min(total), Some(total), "bytes", "replaying WAL");
}

/// A pause is the target's only if the log says so: recovery also pauses where the copy's limits are too small.
fn confirm<C: Capabilities>(instance: &Instance<'_, C>, goal: &Goal<'_>, reached: Reached) -> Result<Reached, Failure> {
    if goal.configuration.target.is_empty() {
        return Ok(reached);
    }
    let log = instance.read_log()?;
    if log.contains("recovery stopping") {
        return Ok(reached);
    }
    Err(crate::instance::diagnose(&log))
}
