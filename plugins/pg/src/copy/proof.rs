//! What a restore has to reach, and whether it did: by what the copy's log says about the end of its recovery, and by positions.
//! Recovery that ends somewhere else is never taken for the target.

use lifeboat_plugin::Failure;

use crate::wal::{end::End, segment::Lsn};

/// The replay state of a server.
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

/// What has to be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// The end of the archive.
    Latest(End),
    /// The end of the backup, where it is known.
    Consistent(Option<Lsn>),
    /// The last transaction up to a moment (`2026-11-21 03:55:29.073844`, UTC).
    Time(String),
    /// A position.
    Position(Lsn),
    /// The commit of a transaction, whose record begins there.
    Commit {
        /// The transaction.
        xid: u32,
        /// Its commit record.
        lsn: Lsn,
        /// Whether recovery has to stop just before it.
        before: bool,
    },
}

/// Where the log says that recovery stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop<'a> {
    Consistent,
    Position(Lsn),
    Transaction { before: bool, xid: &'a str },
    Other,
}

impl Expected {
    /// How far replay must come at least; `None` for a moment.
    pub fn lsn(&self) -> Option<Lsn> {
        match self {
            Self::Latest(end) => Some(end.lsn),
            Self::Consistent(lsn) => *lsn,
            Self::Position(lsn) | Self::Commit { lsn, .. } => Some(*lsn),
            Self::Time(_) => None,
        }
    }

    /// Compares what was reached with what had to be; returns the line of the log that says where recovery stopped. Fails with
    /// `pg-end-not-proven`.
    pub fn prove(&self, log: &str, reached: &Reached) -> Result<String, Failure> {
        let line = stopping(log).ok_or_else(|| not_proven("its log does not say that recovery stopped at a target"))?;
        if !self.is_met(stop(line), reached) {
            let message = format!(
                "it had to reach {}, but its log says `{line}`, and its position is {}",
                self.name(),
                reached.lsn
            );
            return Err(not_proven(&message));
        }
        Ok(line.to_owned())
    }

    fn is_met(&self, stop: Stop<'_>, reached: &Reached) -> bool {
        match (self, stop) {
            (Self::Latest(end), Stop::Position(lsn)) => lsn >= end.record && reached.lsn >= end.lsn,
            (Self::Consistent(end), Stop::Consistent) => end.is_none_or(|end| reached.lsn >= end),
            (Self::Position(target), Stop::Position(lsn)) => lsn >= *target,
            (Self::Commit { xid, lsn, before }, Stop::Transaction { before: stopped, xid: at }) => {
                // Just before a record that begins a page, the end of the one before it is a page header away.
                let there = if *before { reached.lsn <= *lsn } else { reached.lsn > *lsn };
                stopped == *before && at == xid.to_string() && there
            }
            // In RFC 3339; a copy without a transaction has nothing that could be too late.
            (Self::Time(target), Stop::Transaction { .. }) => reached
                .time
                .as_deref()
                .is_none_or(|time| time.trim_end_matches('Z').replacen('T', " ", 1).as_str() <= target.as_str()),
            _ => false,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Latest(end) => format!("the end of the archive's WAL at {}", end.lsn),
            Self::Consistent(_) => "the end of the backup".to_owned(),
            Self::Time(time) => format!("the last commit up to {time} UTC"),
            Self::Position(lsn) => format!("position {lsn}"),
            Self::Commit { xid, lsn, before: true } => {
                format!("the place before the commit of transaction {xid} at {lsn}")
            }
            Self::Commit { xid, lsn, before: false } => format!("the commit of transaction {xid} at {lsn}"),
        }
    }
}

/// Whether the line says that recovery stopped just after the commit of this transaction.
pub fn stopped_after(line: &str, xid: u32) -> bool {
    matches!(stop(line), Stop::Transaction { before: false, xid: at } if at == xid.to_string())
}

/// The last `recovery stopping …` of a log.
pub fn stopping(log: &str) -> Option<&str> {
    const STOPPING: &str = "recovery stopping ";
    log.lines().rev().find_map(|line| line.find(STOPPING).map(|at| line[at..].trim_end()))
}

fn stop(line: &str) -> Stop<'_> {
    let rest = line.trim_start_matches("recovery stopping ");
    let before = rest.starts_with("before ");
    if rest.starts_with("after reaching consistency") {
        return Stop::Consistent;
    }
    if let Some((_, lsn)) = rest.split_once("WAL location (LSN) \"") {
        return lsn.trim_end_matches('"').parse().map_or(Stop::Other, Stop::Position);
    }
    match rest.split_once(" of transaction ").and_then(|(_, rest)| rest.split(',').next()) {
        Some(xid) => Stop::Transaction { before, xid },
        None => Stop::Other,
    }
}

fn not_proven(what: &str) -> Failure {
    Failure::permanent("pg-end-not-proven", format!("the copy did not prove that it reached its target: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::segment::Segment;

    fn reached(lsn: u64, time: Option<&str>) -> Reached {
        Reached {
            lsn: Lsn(lsn),
            time: time.map(str::to_owned),
            in_recovery: true,
            paused: true,
            version: "15.14".to_owned(),
        }
    }

    #[track_caller]
    fn check(expected: &Expected, line: &str, reached: &Reached, met: bool) {
        let log =
            format!("LOG:  restored log file\n2026-11-21 UTC [7] LOG:  {line}\nLOG:  pausing at the end of recovery\n");
        let proven = expected.prove(&log, reached);
        assert_eq!(proven.as_deref().map_err(Failure::code), if met { Ok(line) } else { Err("pg-end-not-proven") });
    }

    #[test]
    fn the_latest_state_is_the_last_record() {
        let end = End { segment: Segment { number: 5, timeline: 1 }, record: Lsn(0x5F8_10D8), lsn: Lsn(0x600_0000) };
        let after = "recovery stopping after WAL location (LSN) \"0/5F810D8\"";
        check(&Expected::Latest(end), after, &reached(0x600_0000, None), true);
        check(&Expected::Latest(end), after, &reached(0x5F8_10F0, None), false);
        let early = "recovery stopping after WAL location (LSN) \"0/5F810B0\"";
        check(&Expected::Latest(end), early, &reached(0x600_0000, None), false);
        let unproved = Expected::Latest(end).prove("LOG:  redo done at 0/5F810D8", &reached(0x600_0000, None));
        assert_eq!(unproved.map_err(|failure| failure.code().to_owned()), Err("pg-end-not-proven".to_owned()));
    }

    #[test]
    fn a_transaction_is_the_one_that_was_meant() {
        let before = Expected::Commit { xid: 734, lsn: Lsn(0x300_0060), before: true };
        let line = "recovery stopping before commit of transaction 734, time 2026-11-21 03:55:29.073844+00";
        check(&before, line, &reached(0x300_0060, None), true);
        check(&before, line, &reached(0x300_0061, None), false);
        check(&before, "recovery stopping before commit of transaction 73, time x", &reached(0x300_0060, None), false);
        check(&before, "recovery stopping after commit of transaction 734, time x", &reached(0x300_0060, None), false);
        let after = Expected::Commit { xid: 734, lsn: Lsn(0x300_0060), before: false };
        let line = "recovery stopping after commit of transaction 734, time 2026-11-21 03:55:29.073844+00";
        check(&after, line, &reached(0x300_0088, None), true);
        check(&after, line, &reached(0x300_0060, None), false);
    }

    #[test]
    fn just_after_a_transaction_is_not_just_before_it() {
        let line =
            |side: &str| format!("recovery stopping {side} commit of transaction 734, time 2026-11-21 03:55:29+00");
        assert!(stopped_after(&line("after"), 734));
        assert!(!stopped_after(&line("before"), 734) && !stopped_after(&line("after"), 73));
        assert!(!stopped_after("recovery stopping after WAL location (LSN) \"0/20\"", 734));
    }

    #[test]
    fn the_other_targets_have_their_words() {
        let consistent = "recovery stopping after reaching consistency";
        check(&Expected::Consistent(Some(Lsn(7))), consistent, &reached(7, None), true);
        check(&Expected::Consistent(Some(Lsn(7))), consistent, &reached(6, None), false);
        check(&Expected::Consistent(None), consistent, &reached(6, None), true);
        let position = "recovery stopping after WAL location (LSN) \"0/20\"";
        check(&Expected::Position(Lsn(0x20)), position, &reached(0x30, None), true);
        check(&Expected::Position(Lsn(0x21)), position, &reached(0x30, None), false);
        check(&Expected::Position(Lsn(0x20)), consistent, &reached(0x30, None), false);
        let time = Expected::Time("2026-11-21 03:55:29.073844".to_owned());
        let line = "recovery stopping before commit of transaction 734, time 2026-11-21 03:55:30.1+00";
        check(&time, line, &reached(7, Some("2026-11-21T03:55:29.073844Z")), true);
        check(&time, line, &reached(7, Some("2026-11-21T03:55:29.073845Z")), false);
        check(&time, line, &reached(7, None), true);
        check(&time, position, &reached(7, None), false);
    }
}
