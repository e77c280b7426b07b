//! A standby, as it describes itself: what it has of its primary's WAL, and whether it gets more.

use lifeboat_plugin::{Connection, Failure, Runtime};

use crate::{
    call::duration,
    wal::{
        segment::{Lsn, NotAnLsn},
        timeline::{self, Chain},
    },
};

const PAUSE_MS: u64 = 100;

/// The end that recovery has reached, and the receiver that may move it.
#[derive(Debug, Clone, PartialEq)]
pub struct Standby {
    /// Whether it is one: a promoted server is not in recovery.
    pub in_recovery: bool,
    /// The end of what was streamed since it started.
    pub received: Option<Lsn>,
    /// The end of what was replayed, whether streamed, archived or there already.
    pub replayed: Option<Lsn>,
    /// How many receivers run: one, or none.
    pub receivers: u64,
    /// Whether replay was paused by somebody.
    pub paused: bool,
    /// `recovery_min_apply_delay`.
    pub apply_delay_ms: u64,
    /// Whether `primary_conninfo` names a server.
    pub has_upstream: bool,
    /// The age of the newest commit that was replayed.
    pub last_commit_age_s: Option<f64>,
    /// Prepared transactions: they keep their locks across a promotion.
    pub prepared: Vec<String>,
}

const LOOK: &str = "SELECT pg_is_in_recovery() AS in_recovery,
        pg_last_wal_receive_lsn()::text AS received, pg_last_wal_replay_lsn()::text AS replayed,
        (SELECT count(*) FROM pg_stat_wal_receiver) AS receivers,
        CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END AS paused,
        (SELECT setting::bigint FROM pg_settings WHERE name = 'recovery_min_apply_delay') AS apply_delay_ms,
        coalesce(current_setting('primary_conninfo', true), '') <> '' AS has_upstream,
        extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS last_commit_age_s,
        (SELECT coalesce(array_agg(gid::text ORDER BY prepared, gid), '{}') FROM pg_prepared_xacts) AS prepared";

/// Asks it.
pub fn look(connection: &impl Connection) -> Result<Standby, Failure> {
    let rows = connection.query(LOOK, &[])?;
    let row = rows.one()?;
    let position = |column: &str| row.get::<Option<String>>(column)?.map(|text| lsn(&text)).transpose();
    Ok(Standby {
        in_recovery: row.get("in_recovery")?,
        received: position("received")?,
        replayed: position("replayed")?,
        receivers: row.get("receivers")?,
        paused: row.get("paused")?,
        apply_delay_ms: row.get("apply_delay_ms")?,
        has_upstream: row.get("has_upstream")?,
        last_commit_age_s: row.get("last_commit_age_s")?,
        prepared: row.get("prepared")?,
    })
}

impl Standby {
    /// The end of everything that it has: what it replayed may go further than what was streamed since it started.
    pub fn end(&self) -> Lsn {
        self.received.max(self.replayed).unwrap_or_default()
    }

    /// Fails with `pg-not-standby` where it is none.
    pub fn check_in_recovery(&self) -> Result<(), Failure> {
        if self.in_recovery {
            return Ok(());
        }
        Err(Failure::permanent("pg-not-standby", "the server is not in recovery: it is a primary"))
    }
}

/// A position that a server or a step told.
pub fn lsn(text: &str) -> Result<Lsn, Failure> {
    text.parse().map_err(|error: NotAnLsn| Failure::invalid_input("pg-lsn", error.to_string()))
}

/// Looks until it is as it should be, but not longer than `within`.
pub fn wait<C: Connection>(
    caps: &impl Runtime,
    connection: &C,
    within: &str,
    mut is_right: impl FnMut(&Standby) -> bool,
) -> Result<Option<Standby>, Failure> {
    let end_ms = caps.now_ms().saturating_add(milliseconds(within)?);
    loop {
        let seen = look(connection)?;
        if is_right(&seen) {
            return Ok(Some(seen));
        }
        if caps.now_ms() >= end_ms || !caps.sleep_ms(PAUSE_MS) {
            return Ok(None);
        }
    }
}

/// The length of time that a parameter gives.
pub fn milliseconds(text: &str) -> Result<u64, Failure> {
    let none = || Failure::invalid_input("pg-duration", format!("`{text}` is not a duration such as `1m`"));
    duration::milliseconds(text).ok_or_else(none)
}

/// How a promoted server came to its timeline, by its own history file. Needs the right to read files of the server.
pub fn history(connection: &impl Connection, timeline: u32) -> Result<Chain, Failure> {
    let name = timeline::history_file(timeline);
    let rows = connection.query(&format!("SELECT pg_read_file('pg_wal/{name}') AS history"), &[])?;
    let text: String = rows.one()?.get("history")?;
    let odd = || Failure::permanent("pg-odd-answer", format!("{name} does not say which timelines lead to it"));
    Chain::parse(timeline, &text).ok_or_else(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_the_further_of_what_was_streamed_and_what_was_replayed() {
        let check = |received: Option<u64>, replayed: Option<u64>, expect: u64| {
            let standby = Standby {
                in_recovery: true,
                received: received.map(Lsn),
                replayed: replayed.map(Lsn),
                receivers: 0,
                paused: false,
                apply_delay_ms: 0,
                has_upstream: false,
                last_commit_age_s: None,
                prepared: Vec::new(),
            };
            assert_eq!(standby.end(), Lsn(expect), "{received:?} {replayed:?}");
        };
        check(Some(9), Some(7), 9);
        check(Some(7), Some(9), 9);
        check(None, Some(9), 9);
        check(None, None, 0);
    }
}
