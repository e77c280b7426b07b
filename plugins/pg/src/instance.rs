//! A restored server: its configuration, starting, watching and stopping it.

use std::{collections::BTreeMap, fmt::Write};

use lifeboat_plugin::{Failure, Machine, machine};

use crate::identifier::quote_setting;

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

/// What the configuration of an instance says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Its name.
    pub instance: String,
    /// Where it listens.
    pub port: u16,
    /// On which address.
    pub listen: String,
    /// Absolute path of the WAL archive.
    pub archive: String,
    /// Where recovery stops; empty for the latest state.
    pub target: Vec<(&'static str, String)>,
    /// Whether it becomes a server of its own there.
    pub promote: bool,
    /// [`REPLAY_LIMITS`] with their values.
    pub limits: BTreeMap<String, i64>,
    /// Further settings, from the runbook.
    pub settings: BTreeMap<String, String>,
}

impl Configuration {
    /// `postgresql.conf`. It stands alone: nothing of the original's applies, which may load programs, send mail or
    /// overwrite the archive. What must hold comes last and wins.
    pub fn print(&self) -> String {
        let mut text = "# Written by Lifeboat for a restored copy.\n".to_owned();
        let mut line = |name: &str, value: &str| {
            // Writing to a String can not fail.
            let _ = writeln!(text, "{name} = {value}");
        };
        line("shared_buffers", "'128MB'");
        line("max_wal_size", "'4GB'");
        line("dynamic_shared_memory_type", "mmap");
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
        line("restore_command", &quote_setting(&format!("cp \"{}/%f\" \"%p\"", self.archive)));
        line("recovery_target_timeline", "'latest'");
        for (name, value) in &self.target {
            line(name, value);
        }
        line("recovery_target_action", if self.promote { "'promote'" } else { "'pause'" });
        text
    }

    /// The file that starts recovery: a standby goes on waiting for WAL, so the latest state stays in recovery.
    pub fn signal(&self) -> &'static str {
        if self.target.is_empty() && !self.promote { "standby.signal" } else { "recovery.signal" }
    }
}

/// `pg_hba.conf`: the one login that is known, with its password, from this machine and its own networks. Every database is
/// open to it, because a backup is verified in all of them.
pub fn host_access(user: &str) -> String {
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let user = quote(user);
    let mut text = "# Written by Lifeboat for a restored copy.\n".to_owned();
    for from in ["127.0.0.0/8", "::1/128", "samenet"] {
        // Writing to a String can not fail.
        let _ = writeln!(text, "host all {user} {from} scram-sha-256");
    }
    text
}

/// Refuses names that are no settings, and those that would undo the isolation of the copy by another way.
pub fn check_settings(settings: &BTreeMap<String, String>) -> Result<(), Failure> {
    const REFUSED: [&str; 6] =
        ["include", "include_dir", "include_if_exists", "data_directory", "hba_file", "archive_cleanup_command"];
    for (name, value) in settings {
        let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte));
        if !plain || REFUSED.contains(&name.to_ascii_lowercase().as_str()) || value.contains(['\n', '\r', '\0']) {
            return Err(Failure::invalid_input("pg-setting", format!("`{name}` can not be set on a copy")));
        }
    }
    Ok(())
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

    /// Starts the server and does not wait until it answers; fails where it ends at once.
    pub fn start(&self) -> Result<(), Failure> {
        // Without waiting at all, pg_ctl may return before there is a process whose state could be asked for. When its
        // time is over the server goes on starting.
        let output = self.pg_ctl(&["start", "-w", "-t", "1", "-s", "-l", &self.log()])?;
        if output.succeeded() || self.is_running()? { Ok(()) } else { Err(self.ended(&output.last_lines(3))) }
    }

    /// Whether the server runs.
    pub fn is_running(&self) -> Result<bool, Failure> {
        Ok(self.pg_ctl(&["status", "-s"])?.succeeded())
    }

    /// Ends the server at once; one that does not run is fine.
    pub fn stop(&self) -> Result<(), Failure> {
        let output = self.pg_ctl(&["stop", "-m", "immediate", "-w", "-s", "-t", "60"])?;
        if output.succeeded() || !self.is_running()? {
            return Ok(());
        }
        Err(Failure::transient("pg-stop-failed", format!("the instance does not stop: {}", output.last_lines(3))))
    }

    fn pg_ctl(&self, arguments: &[&str]) -> Result<machine::Output, Failure> {
        let mut all = vec!["-D".to_owned(), self.data()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Ok(self.caps.run(self.machine, "pg_ctl", &all, None)?)
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
    if has("recovery ended before configured recovery target was reached") {
        permanent("pg-target-not-reached", "the archive ends before the target")
    } else if has("requested recovery stop point is before consistent recovery point") {
        permanent("pg-target-before-backup", "the target lies before the end of the backup")
    } else if has("Address already in use") || has("could not bind") {
        Failure::transient("pg-port-busy", format!("another program has the port; the log ends with:\n{tail}"))
    } else if has("No space left on device") {
        permanent("pg-no-space", "the disk of the copy is full")
    } else if has("hot standby is not possible") {
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
            archive: "/srv/it's/archive".to_owned(),
            target: vec![("recovery_target_xid", "'734'".to_owned()), ("recovery_target_inclusive", "off".to_owned())],
            promote: false,
            limits: REPLAY_LIMITS.iter().map(|name| ((*name).to_owned(), 100)).collect(),
            settings: [("archive_mode".to_owned(), "on".to_owned())].into(),
        }
    }

    #[test]
    fn a_copy_stands_alone() {
        insta::assert_snapshot!(format!("{}\n{}", configuration().print(), host_access("life\"boat")));
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
    fn only_the_latest_state_waits_as_a_standby() {
        let check = |target: bool, promote: bool, expect: &str| {
            let mut configuration = Configuration { promote, ..configuration() };
            if !target {
                configuration.target.clear();
            }
            assert_eq!(configuration.signal(), expect);
        };
        check(true, false, "recovery.signal");
        check(true, true, "recovery.signal");
        check(false, false, "standby.signal");
        check(false, true, "recovery.signal");
    }

    #[test]
    fn settings_can_not_break_out() {
        let check = |name: &str, value: &str, fine: bool| {
            let settings = [(name.to_owned(), value.to_owned())].into();
            assert_eq!(check_settings(&settings).is_ok(), fine, "{name}");
        };
        check("shared_preload_libraries", "timescaledb", true);
        check("pg_stat_statements.max", "1000", true);
        check("include", "/etc/x", false);
        check("Data_Directory", "/x", false);
        check("a b", "x", false);
        check("", "x", false);
        check("work_mem", "1\narchive_command = 'x'", false);
    }

    #[test]
    fn an_end_has_a_code() {
        let check = |log: &str, expect: &str| assert_eq!(diagnose(log).code(), expect, "{log}");
        check("FATAL:  recovery ended before configured recovery target was reached", "pg-target-not-reached");
        check("FATAL:  requested recovery stop point is before consistent recovery point", "pg-target-before-backup");
        check("LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use", "pg-port-busy");
        check("FATAL:  could not extend file: No space left on device", "pg-no-space");
        check("FATAL:  could not locate required checkpoint record", "pg-wal-gap");
        check("something else", "pg-start-failed");
    }
}
