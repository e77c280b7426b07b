//! A restored server: its configuration, starting, watching and stopping it.

use std::{collections::BTreeMap, fmt::Write};

use lifeboat_plugin::{Failure, Machine, machine};

use crate::{
    copy::{
        own_wal,
        restore_command::{self, RestoreCommand},
    },
    server::identifier::quote_setting,
    wal::segment::SegmentSize,
};

/// How many lines of a server's log go into a message.
const LOG_LINES: usize = 12;

/// Settings that a standby needs at least as large as the server whose WAL it replays.
pub const REPLAY_LIMITS: [&str; 5] = [
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
];

/// The settings of an instance's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Its name.
    pub instance: String,
    /// Where it listens.
    pub port: u16,
    /// On which address.
    pub listen: String,
    /// Fetches WAL from the archive.
    pub restore_command: RestoreCommand,
    /// Which timeline is followed: never just the newest one in the archive.
    pub timeline: u32,
    /// Where recovery stops.
    pub target: Vec<(&'static str, String)>,
    /// Whether it becomes a server of its own there.
    pub promote: bool,
    /// [`REPLAY_LIMITS`] with their values.
    pub limits: BTreeMap<String, i64>,
    /// Further settings, from the runbook.
    pub settings: BTreeMap<String, String>,
}

impl Configuration {
    /// `postgresql.conf`. It is complete: no setting of the original applies, because these may load programs, send mail or
    /// overwrite the archive. Required settings come last and win.
    pub fn print(&self) -> String {
        let mut text = "# Written by Lifeboat for a restored copy.\n".to_owned();
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name} = {value}");
        };
        line("shared_buffers", "'128MB'");
        let (min_wal_mb, max_wal_mb) = wal_sizes(self.restore_command.segment_size);
        line("min_wal_size", &quote_setting(&format!("{min_wal_mb}MB")));
        line("max_wal_size", &quote_setting(&format!("{max_wal_mb}MB")));
        line("dynamic_shared_memory_type", "mmap");
        // A copy whose machine fails is made anew: a copy that was not stopped properly is never started again.
        line("fsync", "off");
        for (name, value) in &self.settings {
            line(name, &quote_setting(value));
        }
        // A limit that the original had for a while, between the backup and today, only the author of a step can know.
        let given = |limit: &str| self.settings.keys().any(|name| name.eq_ignore_ascii_case(limit));
        for (name, value) in self.limits.iter().filter(|(name, _)| !given(name)) {
            line(name, &value.to_string());
        }
        line("listen_addresses", &quote_setting(&self.listen));
        line("port", &self.port.to_string());
        line("unix_socket_directories", "''");
        line("cluster_name", &quote_setting(&self.instance));
        line("ssl", "off");
        line("logging_collector", "off");
        line("log_destination", "'stderr'");
        line("lc_messages", "'C'");
        line("archive_mode", "off");
        line("wal_level", "replica");
        line("hot_standby", "on");
        line("primary_conninfo", "''");
        line("max_standby_archive_delay", "-1");
        line("restore_command", &quote_setting(&self.restore_command.print()));
        line("recovery_target_timeline", &quote_setting(&self.timeline.to_string()));
        for (name, value) in &self.target {
            line(name, value);
        }
        line("recovery_target_action", if self.promote { "'promote'" } else { "'pause'" });
        text
    }

    /// Raises the limits that a server's log asks for; those that were raised, in words. One that a step gives stays as given.
    pub fn raise(&mut self, log: &str) -> String {
        let mut raised = Vec::new();
        for (name, wanted) in wanted_limits(log) {
            let given = self.settings.keys().any(|given| given.eq_ignore_ascii_case(name));
            if let Some(limit) = self.limits.get_mut(name)
                && !given
                && *limit < wanted
            {
                *limit = wanted;
                raised.push(format!("{name} = {wanted}"));
            }
        }
        raised.join(", ")
    }
}

/// Whether a server's log says that the WAL asks for larger limits.
pub fn lacks_limits(log: &str) -> bool {
    log.contains("because of insufficient parameter settings") || log.contains("hot standby is not possible")
}

/// The limits that the log asks for: `max_connections = 100 is a lower setting than on the primary server, where its value was 300.`
fn wanted_limits(log: &str) -> impl Iterator<Item = (&str, i64)> {
    log.lines().filter_map(|line| {
        let (left, right) = line.split_once(" is a lower setting than on the primary server, where its value was ")?;
        let name = left.rsplit_once(" = ")?.0.rsplit(' ').next()?;
        Some((name, right.trim_end().trim_end_matches('.').parse().ok()?))
    })
}

/// The least and the most WAL that a copy keeps, in MiB. A server does not start with less than two segments.
fn wal_sizes(segment: SegmentSize) -> (u64, u64) {
    let least = (80 << 20).max(2 * segment.bytes());
    (least >> 20, (4 << 10).max(least >> 20))
}

/// `pg_hba.conf`: the one login that is known, with its password; by the socket alone, or from this machine and its networks. Every
/// database is open to it, because a backup is verified in all of them.
pub fn host_access(user: &str, by_socket: bool) -> String {
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let user = quote(user);
    let mut text = "# Written by Lifeboat for a restored copy.\n".to_owned();
    if by_socket {
        let _ = writeln!(text, "local all {user} scram-sha-256");
        return text;
    }
    for from in ["127.0.0.0/8", "::1/128", "samenet"] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "host all {user} {from} scram-sha-256");
    }
    text
}

/// Folders and files of an instance on its machine.
#[derive(Debug, Clone, Copy)]
pub struct Instance<'a, C> {
    /// Runs programs and reads files.
    pub caps: &'a C,
    /// Where it is.
    pub machine: &'a str,
    /// Its folder.
    pub folder: &'a str,
    /// How it is started, if this call starts it.
    pub startup: Option<&'a Startup>,
}

/// How a server is started.
#[derive(Debug, Clone)]
pub struct Startup {
    /// Its command line, and what it can reach.
    pub server: machine::Server,
    /// Behind which wall.
    pub wall: machine::Wall,
}

impl<C: Machine> Instance<'_, C> {
    /// The data folder.
    pub fn data(&self) -> String {
        format!("{}/data", self.folder)
    }

    /// The server's log.
    pub fn log(&self) -> String {
        format!("{}/server.log", self.folder)
    }

    /// The folder of its socket, if it has one.
    pub fn socket(&self) -> String {
        format!("{}/socket", self.folder)
    }

    /// Starts the server and does not wait until it answers; fails if it ends at once.
    pub fn start(&self) -> Result<(), Failure> {
        let startup = self
            .startup
            .ok_or_else(|| Failure::permanent("pg-start-failed", "there is no record of how to start it"))?;
        self.caps.start_server(self.machine, &startup.server, &startup.wall.name)?;
        if self.is_running()? { Ok(()) } else { Err(self.ended("the server ended without a message")) }
    }

    /// Whether the server runs: a process that works in the data folder, whatever a pid file says.
    pub fn is_running(&self) -> Result<bool, Failure> {
        match self.caps.server_runs(self.machine, &self.data()) {
            Err(machine::Error::NotFound(_)) => Ok(false),
            runs => Ok(runs?),
        }
    }

    /// Ends the server at once; if it does not run, that is no error. No other server is touched.
    pub fn stop(&self) -> Result<(), Failure> {
        match self.caps.stop_server(self.machine, &self.data()) {
            Ok(()) | Err(machine::Error::NotFound(_)) => Ok(()),
            Err(machine::Error::Failed(reason)) => {
                let message = format!("the copy does not stop: {}", reason.message);
                Err(Failure::transient("pg-stop-failed", message))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the server's files; the marker, which says whose they were, stays.
    pub fn remove_files(&self) -> Result<(), Failure> {
        let others = ["replaced", own_wal::FOLDER].map(|name| format!("{}/{name}", self.folder));
        for path in [self.data(), self.socket()].iter().chain(&others) {
            self.caps.remove(self.machine, path)?;
        }
        Ok(())
    }

    /// Why the server ended, by its log.
    pub fn ended(&self, otherwise: &str) -> Failure {
        let log = self.caps.read_file(self.machine, &self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        diagnose(if log.trim().is_empty() { otherwise } else { &log })
    }

    /// The log's text.
    pub fn read_log(&self) -> Result<String, Failure> {
        Ok(String::from_utf8_lossy(&self.caps.read_file(self.machine, &self.log())?).into_owned())
    }
}

/// What the last lines of a server's log mean.
pub fn diagnose(log: &str) -> Failure {
    let lines: Vec<&str> = log.trim_end().lines().collect();
    let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    let has = |text: &str| log.contains(text);
    let permanent = |code: &str, what: &str| Failure::permanent(code, format!("{what}; its log ends with:\n{tail}"));
    let early = has("recovery ended before configured recovery target was reached");
    let fetching = restore_command::failure(log).filter(|failure| early || failure.code() != "pg-wal-damaged");
    if let Some(failure) = fetching {
        permanent(failure.code(), &failure.reason().message)
    } else if has("No space left on device") {
        permanent("pg-no-space", "the disk of the copy is full")
    } else if has("could not restore file") {
        permanent("pg-wal-unreadable", "a file of the archive cannot be fetched")
    } else if early {
        permanent("pg-target-not-reached", "the archive ends before the target")
    } else if has("requested recovery stop point is before consistent recovery point") {
        permanent("pg-target-before-backup", "the target lies before the end of the backup")
    } else if has("Address already in use") || has("could not bind") {
        Failure::transient("pg-port-busy", format!("another program has the port; the log ends with:\n{tail}"))
    } else if lacks_limits(log) {
        permanent("pg-replay-limits", "the original has larger limits than the copy")
    } else if has("could not locate required checkpoint record") || has("could not locate a valid checkpoint record") {
        permanent("pg-wal-gap", "the archive lacks the WAL from the time of the backup")
    } else {
        permanent("pg-start-failed", "the copy does not run")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> Configuration {
        Configuration {
            instance: "lb-1f2e3d4c5b".to_owned(),
            port: 54_330,
            listen: "127.0.0.1".to_owned(),
            restore_command: RestoreCommand {
                archive: "/srv/it's/archive".to_owned(),
                segment_size: SegmentSize::DEFAULT,
                witness: "000000010000000000000003".to_owned(),
            },
            timeline: 1,
            target: vec![("recovery_target_xid", "'734'".to_owned()), ("recovery_target_inclusive", "off".to_owned())],
            promote: false,
            limits: REPLAY_LIMITS.iter().map(|name| ((*name).to_owned(), 100)).collect(),
            settings: [("archive_mode".to_owned(), "on".to_owned())].into(),
        }
    }

    #[test]
    fn a_copy_stands_alone() {
        insta::assert_snapshot!(format!("{}\n{}", configuration().print(), host_access("life\"boat", false)));
    }

    #[test]
    fn a_limit_is_what_the_step_says() {
        let mut configuration = configuration();
        assert!(configuration.print().contains("max_connections = 100\n"));
        configuration.settings.insert("Max_Connections".to_owned(), "400".to_owned());
        let text = configuration.print();
        assert!(text.contains("Max_Connections = '400'\n") && !text.contains("max_connections = 100"), "{text}");
        assert!(text.contains("max_wal_senders = 100\n"), "{text}");
    }

    #[test]
    fn a_limit_grows_to_what_the_log_asks_for() {
        let log = "2026-11-21 UTC [7] FATAL:  recovery aborted because of insufficient parameter settings\n\
                   2026-11-21 UTC [7] DETAIL:  max_connections = 100 is a lower setting than on the primary server, where its \
                   value was 300.\n";
        assert_eq!(diagnose(log).code(), "pg-replay-limits");
        let mut copy = configuration();
        assert_eq!(copy.raise(log), "max_connections = 300");
        assert_eq!(copy.limits["max_connections"], 300);
        assert_eq!(copy.raise(log), "", "nothing is raised twice");
        let mut given = configuration();
        given.settings.insert("Max_Connections".to_owned(), "100".to_owned());
        assert_eq!(given.raise(log), "", "the author of the step decides");
        assert_eq!(
            copy.raise("DETAIL:  port = 1 is a lower setting than on the primary server, where its value was 9."),
            ""
        );
    }

    #[test]
    fn a_copy_keeps_two_segments_at_least() {
        let check = |megabytes: u64, expect: (u64, u64)| {
            assert_eq!(wal_sizes(SegmentSize::new(megabytes << 20).expect("a size")), expect, "{megabytes} MiB");
        };
        check(1, (80, 4_096));
        check(16, (80, 4_096));
        check(64, (128, 4_096));
        check(1_024, (2_048, 4_096));
    }

    #[test]
    fn an_end_has_a_code() {
        let check = |log: &str, expect: &str| assert_eq!(diagnose(log).code(), expect, "{log}");
        check("FATAL:  recovery ended before configured recovery target was reached", "pg-target-not-reached");
        check("FATAL:  requested recovery stop point is before consistent recovery point", "pg-target-before-backup");
        check("LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use", "pg-port-busy");
        check("FATAL:  could not extend file: No space left on device", "pg-no-space");
        let command = |reason: &str| format!("lifeboat: restore_command: 000000010000000000000003: {reason}\nFATAL: x");
        check(&command("cp: cannot open '/a': Permission denied"), "pg-wal-unreadable");
        check(&command("cp: error writing 'x': No space left on device"), "pg-no-space");
        check("FATAL:  could not locate required checkpoint record", "pg-wal-gap");
        check("something else", "pg-start-failed");
    }
}
