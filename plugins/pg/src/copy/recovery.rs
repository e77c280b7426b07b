//! Waits until a restored server has reached its target, and has proven it.

use lifeboat_plugin::{Connection, Failure, postgres};

use crate::{
    copy::{
        choice::Choice,
        instance::{self, Configuration, Instance},
        marker::Marker,
        proof::{self, Reached},
    },
    server::Capabilities,
    wal::{
        segment::{Lsn, SegmentSize},
        timeline::{self, Chain},
        unreadable,
    },
};

/// Between two looks at a server that replays: short ones first, as many copies need little WAL.
const PAUSES_MS: (u64, u64) = (10, 100);
/// How often a copy is started again with larger limits; each of them may have been raised more than once.
const RESTARTS_MAX: u32 = 10;

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Goal<'a> {
    /// How the instance was configured.
    pub configuration: &'a Configuration,
    /// How it is reached, and whose login it knows.
    pub marker: &'a Marker,
    /// What it replays.
    pub choice: &'a Choice,
}

/// Starts the server and waits until it has reached its target and answers queries; returns its replay state, and what its log
/// says about the end of recovery. If the WAL needs larger limits, it is started again with them. The call's deadline bounds it.
pub fn run<C: Capabilities>(instance: &Instance<'_, C>, goal: &Goal<'_>) -> Result<(Reached, String), Failure> {
    let mut configuration = goal.configuration.clone();
    for restarts in 1..=RESTARTS_MAX {
        // A short recovery can end before its start is known to have worked.
        let started = instance.start().map_err(|failure| explain(instance, goal, failure));
        let failure = match started.and_then(|()| wait(instance, goal)) {
            Err(failure) if failure.code() == "pg-replay-limits" => failure,
            end => return end,
        };
        let raised = configuration.raise(&instance.read_log()?);
        if raised.is_empty() {
            return Err(failure);
        }
        instance.caps.info(&format!(
            "the original had larger limits at some time since the backup: starting again with {raised}"
        ));
        start_afresh(instance, &configuration, restarts)?;
    }
    let message = format!("the original's limits changed more than {RESTARTS_MAX} times since the backup");
    Err(Failure::permanent("pg-replay-limits", message))
}

/// Stops the server, keeps its log under another name, and configures it again.
fn start_afresh<C: Capabilities>(
    instance: &Instance<'_, C>,
    configuration: &Configuration,
    restarts: u32,
) -> Result<(), Failure> {
    let Instance { caps, machine, .. } = *instance;
    if instance.is_running()? {
        instance.stop()?;
    }
    caps.write_file(machine, &format!("{}.{restarts}", instance.log()), instance.read_log()?.as_bytes())?;
    caps.remove(machine, &instance.log())?;
    caps.write_file(machine, &format!("{}/postgresql.conf", instance.data()), configuration.print().as_bytes())?;
    Ok(())
}

fn wait<C: Capabilities>(instance: &Instance<'_, C>, goal: &Goal<'_>) -> Result<(Reached, String), Failure> {
    let caps = instance.caps;
    let (mut pause, longest) = PAUSES_MS;
    let mut connection = None;
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
            // One that is to be promoted pauses where its limits are too small.
            if reached.paused || !reached.in_recovery {
                return confirm(instance, goal, reached);
            }
        } else if connection.is_none() && pause == longest && !instance.is_running()? {
            return Err(explain(instance, goal, instance.ended("the server ended without a message")));
        }
        if !caps.sleep_ms(pause) {
            return Err(Failure::interrupted("pg-restore-cut-off", "cut off while the copy replayed its WAL"));
        }
        pause = (pause * 2).min(longest);
    }
}

/// Opens the instance; none while it starts.
fn connect<C: Capabilities>(instance: &Instance<'_, C>, goal: &Goal<'_>) -> Result<Option<C::Connection>, Failure> {
    match goal.marker.open(instance.caps, instance.machine, instance.folder) {
        Ok(connection) => Ok(Some(connection)),
        Err(postgres::Error::Connection(_)) => Ok(None),
        Err(postgres::Error::Sql(error)) if error.is_transient() => Ok(None),
        Err(error) => Err(Failure::from(error).while_doing("logging in on the copy")),
    }
}

/// The replay state of the server; `None` if the connection was lost, as it is when recovery ends badly.
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

fn report(caps: &impl Capabilities, goal: &Goal<'_>, lsn: Lsn) {
    let start = goal.choice.backup.start_lsn.0;
    let total = goal.choice.end.0.saturating_sub(start);
    caps.progress(lsn.0.saturating_sub(start).min(total), Some(total), "bytes", "replaying WAL");
}

/// A pause is the target's only if the log says so: recovery also pauses where the copy's limits are too small.
fn confirm<C: Capabilities>(
    instance: &Instance<'_, C>,
    goal: &Goal<'_>,
    mut reached: Reached,
) -> Result<(Reached, String), Failure> {
    let log = instance.read_log()?;
    if proof::stopping(&log).is_none() && instance::lacks_limits(&log) {
        return Err(instance::diagnose(&log));
    }
    if !reached.in_recovery
        && let Some(lsn) = promoted_at(instance, &log)
    {
        reached.lsn = lsn;
    }
    let stopped = goal.choice.expected.prove(&log, &reached)?;
    Ok((reached, stopped))
}

/// Where a promoted copy left the original's WAL, by its own history file: what it has written since is not the original's.
fn promoted_at<C: Capabilities>(instance: &Instance<'_, C>, log: &str) -> Option<Lsn> {
    let (_, rest) = log.rsplit_once("selected new timeline ID: ")?;
    let timeline: u32 = rest.lines().next()?.trim().parse().ok()?;
    let path = format!("{}/pg_wal/{}", instance.data(), timeline::history_file(timeline));
    let content = instance.caps.read_file(instance.machine, &path).ok()?;
    Some(Chain::parse(timeline, &String::from_utf8_lossy(&content))?.begin())
}

/// Why the server ended, beyond what the last words of its log say.
fn explain<C: Capabilities>(instance: &Instance<'_, C>, goal: &Goal<'_>, failure: Failure) -> Failure {
    if failure.code() == "pg-no-space" {
        return failure;
    }
    // On a full disk even the log may lack its last words.
    let segment = goal.configuration.restore_command.segment_size.bytes();
    let free = instance.caps.free_space(instance.machine, instance.folder);
    if failure.code() != "pg-replay-limits" && free.is_ok_and(|free| free < segment.min(16 << 20)) {
        return Failure::permanent(
            "pg-no-space",
            format!("the disk of the copy is full; {}", failure.reason().message),
        );
    }
    if failure.code() != "pg-target-not-reached" {
        return failure;
    }
    let log = instance.read_log().unwrap_or_default();
    let size = goal.configuration.restore_command.segment_size;
    early(&log, goal.choice, size).map_or(failure.clone(), |(code, what)| {
        Failure::permanent(code, format!("{what}; {}", failure.reason().message))
    })
}

/// What the end of replay before the target means if the WAL up to the target is in the archive: not that the archive ends.
fn early(log: &str, choice: &Choice, size: SegmentSize) -> Option<(&'static str, String)> {
    let line = unreadable::last_line(log);
    let place = line.and_then(|line| unreadable::place(line, &choice.chain, size));
    // A wrong checksum is never the end of good WAL, whatever follows.
    let wrong = line.is_some_and(|line| line.contains("checksum"));
    let inside = place.is_some_and(|(segment, _)| segment.number < choice.newest.number);
    let newest = choice.newest.name(size);
    if let Some((segment, lsn)) = place
        && (wrong || inside || choice.expected.lsn().is_some())
    {
        let what = format!(
            "segment {} cannot be replayed beyond {lsn}, and the archive goes on to {newest}",
            segment.name(size)
        );
        return Some(("pg-wal-damaged", what));
    }
    choice.expected.lsn()?;
    let fetched = log.rsplit_once("restored log file \"").and_then(|(_, rest)| rest.split('"').next());
    let fetched = fetched.unwrap_or("none");
    Some((
        "pg-wal-gap",
        format!("the last segment that could be fetched is {fetched}, though {newest} was in the archive"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backup::base_backup::Backup, copy::proof::Expected, wal::segment::Segment};

    fn choice(expected: Expected) -> Choice {
        let backup = Backup {
            name: "b".to_owned(),
            label: String::new(),
            start_lsn: Lsn(0x200_0028),
            end_lsn: Some(Lsn(0x200_0100)),
            start_time: String::new(),
            timeline: 1,
            size_bytes: 0,
            finished_ms: 0,
            incremental: false,
        };
        let newest = Segment { number: 6, timeline: 1 };
        Choice { backup, segments: vec![newest], newest, chain: Chain::of(1), end: Lsn(0x700_0000), expected }
    }

    #[test]
    fn an_end_before_the_target_is_damage_where_the_archive_goes_on() {
        let check = |expected: Expected, log: &str, expect: Option<(&str, &str)>| {
            let found = early(log, &choice(expected), SegmentSize::DEFAULT);
            let code = found.as_ref().map(|(code, _)| *code);
            assert_eq!(code, expect.map(|(code, _)| code), "{log}");
            let what = found.map(|(_, what)| what).unwrap_or_default();
            assert!(what.contains(expect.map_or("", |(_, place)| place)), "{what}");
        };
        let position = || Expected::Position(Lsn(0x600_0060));
        let time = || Expected::Time(String::new());
        let flipped = "LOG:  restored log file \"000000010000000000000003\" from archive\n\
                       LOG:  incorrect resource manager data checksum in record at 0/32DC688\nLOG:  redo done at 0/32DC648\n";
        check(
            position(),
            flipped,
            Some(("pg-wal-damaged", "segment 000000010000000000000003 cannot be replayed beyond 0/32DC688")),
        );
        check(time(), flipped, Some(("pg-wal-damaged", "0/32DC688")));
        // The end of the archive looks like this.
        let end = "LOG:  invalid record length at 0/7000028: wanted 24, got 0\n";
        check(time(), end, None);
        check(
            time(),
            "LOG:  unexpected pageaddr 0/1000000 in log segment 000000010000000000000004, offset 8192",
            Some(("pg-wal-damaged", "0/4002000")),
        );
        check(time(), "LOG:  redo done at 0/6000060", None);
        let gone = "LOG:  restored log file \"000000010000000000000003\" from archive\nLOG:  redo done at 0/32DC648\n";
        check(position(), gone, Some(("pg-wal-gap", "could be fetched is 000000010000000000000003")));
    }
}
