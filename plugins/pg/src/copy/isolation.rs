//! The settings that keep a restored copy from acting outside its folder, as far as settings can: its command line, which no file
//! and no catalog overrides, and the further settings that a runbook may give.

use std::collections::BTreeMap;

use lifeboat_plugin::{Connection, Failure, Machine, machine};

/// A version of PostgreSQL's programs: 15.18 is `(15, 18)`.
pub type ServerVersion = (u32, u32);

/// The version of the machine's programs, which may differ from the original's in its second number.
pub fn version(caps: &impl Machine, machine: &str) -> Result<ServerVersion, Failure> {
    let output = caps.run(machine, "pg_ctl", &["--version".to_owned()], None)?;
    parse_version(&output.stdout).ok_or_else(|| {
        let message = format!("`pg_ctl --version` printed `{}`", output.stdout.trim());
        Failure::permanent("pg-odd-answer", message)
    })
}

/// `pg_ctl (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `… 18beta1`.
fn parse_version(text: &str) -> Option<ServerVersion> {
    let version = text.split(' ').nth(2)?.trim();
    let number = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse().ok()
    };
    let (major, minor) = version.split_once('.').unwrap_or((version, ""));
    Some((number(major)?, number(minor).unwrap_or(0)))
}

/// Whether a server of that version can refuse to read foreign tables.
pub fn can_refuse_foreign_tables(version: ServerVersion) -> bool {
    match version.0 {
        0..=14 => false,
        15 => version.1 >= 8,
        16 => version.1 >= 4,
        _ => true,
    }
}

/// Where a copy listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door<'a> {
    /// Its port, also a part of its socket's name.
    pub port: u16,
    /// Its addresses; empty where it is reached by its socket alone.
    pub listen: &'a str,
    /// The folder of its socket, which its own user alone can enter; `None` where its path is too long for one.
    pub socket: Option<&'a str>,
}

/// The settings on the command line of a copy.
pub fn command_line(
    version: ServerVersion,
    data: &str,
    door: &Door<'_>,
    settings: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    const ALWAYS: [(&str, &str); 26] = [
        ("archive_mode", "off"),
        ("archive_command", ""),
        ("archive_library", ""),
        ("archive_cleanup_command", ""),
        ("recovery_end_command", ""),
        ("primary_conninfo", ""),
        ("primary_slot_name", ""),
        ("hot_standby_feedback", "off"),
        ("synchronous_standby_names", ""),
        ("recovery_min_apply_delay", "0"),
        ("max_logical_replication_workers", "0"),
        ("session_preload_libraries", ""),
        ("local_preload_libraries", ""),
        ("autovacuum", "off"),
        ("external_pid_file", ""),
        ("logging_collector", "off"),
        ("log_destination", "stderr"),
        ("ssl", "off"),
        ("ssl_passphrase_command", ""),
        ("huge_pages", "off"),
        ("default_transaction_read_only", "on"),
        ("temp_tablespaces", ""),
        ("default_tablespace", ""),
        // Every tablespace of the backup is a plain folder of the copy.
        ("allow_in_place_tablespaces", "on"),
        ("dynamic_library_path", "$libdir"),
        ("unix_socket_permissions", "0700"),
    ];
    const SINCE_17: [(&str, &str); 4] = [
        ("event_triggers", "off"),
        ("sync_replication_slots", "off"),
        ("allow_alter_system", "off"),
        ("summarize_wal", "off"),
    ];
    let mut line: Vec<(&str, String)> = ALWAYS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    if can_refuse_foreign_tables(version) {
        line.push(("restrict_nonsystem_relation_kind", "foreign-table".to_owned()));
    }
    if version.0 >= 17 {
        line.extend(SINCE_17.iter().map(|(name, value)| (*name, (*value).to_owned())));
    }
    line.push(("shared_preload_libraries", preload(settings).to_owned()));
    for (name, file) in
        [("config_file", "postgresql.conf"), ("hba_file", "pg_hba.conf"), ("ident_file", "pg_ident.conf")]
    {
        line.push((name, format!("{data}/{file}")));
    }
    line.push(("data_directory", data.to_owned()));
    line.push(("port", door.port.to_string()));
    line.push(("listen_addresses", door.listen.to_owned()));
    line.push(("unix_socket_directories", door.socket.map_or(String::new(), |folder| format!("\"{folder}\""))));
    line.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The libraries that a runbook wants to be loaded.
pub fn preload(settings: &BTreeMap<String, String>) -> &str {
    let found = settings.iter().find(|(name, _)| name.eq_ignore_ascii_case("shared_preload_libraries"));
    found.map_or("", |(_, value)| value.as_str())
}

/// Settings that a runbook may give: limits, memory, speed, how much is logged, and the libraries that the WAL needs. A list of
/// refused settings would miss the next one that runs a program or names a path.
const ALLOWED: [&str; 53] = [
    "autovacuum_work_mem",
    "bgwriter_delay",
    "bgwriter_flush_after",
    "bgwriter_lru_maxpages",
    "bgwriter_lru_multiplier",
    "checkpoint_completion_target",
    "checkpoint_flush_after",
    "checkpoint_timeout",
    "cpu_tuple_cost",
    "deadlock_timeout",
    "effective_cache_size",
    "effective_io_concurrency",
    "fsync",
    "full_page_writes",
    "hash_mem_multiplier",
    "jit",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "log_checkpoints",
    "log_min_error_statement",
    "log_min_messages",
    "logical_decoding_work_mem",
    "maintenance_io_concurrency",
    "maintenance_work_mem",
    "max_connections",
    "max_files_per_process",
    "max_locks_per_transaction",
    "max_parallel_maintenance_workers",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_pred_locks_per_transaction",
    "max_prepared_transactions",
    "max_stack_depth",
    "max_standby_archive_delay",
    "max_wal_senders",
    "max_wal_size",
    "max_worker_processes",
    "min_wal_size",
    "random_page_cost",
    "recovery_prefetch",
    "seq_page_cost",
    "shared_buffers",
    "shared_preload_libraries",
    "statement_timeout",
    "synchronous_commit",
    "temp_buffers",
    "temp_file_limit",
    "timezone",
    "wal_buffers",
    "wal_decode_buffer_size",
    "work_mem",
];

/// Refuses every setting that is not known to stay within the copy. A name with a dot belongs to a library, which must be among
/// those that are loaded.
pub fn check_settings(settings: &BTreeMap<String, String>) -> Result<(), Failure> {
    let libraries: Vec<&str> = preload(settings).split(',').map(str::trim).collect();
    for (name, value) in settings {
        let lower = name.to_ascii_lowercase();
        let known = match lower.split_once('.') {
            Some((library, rest)) => {
                libraries.contains(&library) && !rest.is_empty() && is_word(library) && is_word(rest)
            }
            None => ALLOWED.contains(&lower.as_str()),
        };
        if !known || value.contains(['\n', '\r', '\0', '/']) {
            let message = format!(
                "`{name}` cannot be set on a copy: limits, memory and `shared_preload_libraries` can, and what belongs to a \
                 library that is named there"
            );
            return Err(Failure::invalid_input("pg-setting", message));
        }
    }
    Ok(())
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A risk that settings cannot contain within a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Risk {
    /// What a person lists under `accept`.
    pub name: &'static str,
    /// For people.
    pub what: String,
}

/// The risks that only a wall around its network contains.
pub fn risks(version: ServerVersion, settings: &BTreeMap<String, String>, foreign_tables: bool) -> Vec<Risk> {
    let mut risks = Vec::new();
    let preload = preload(settings);
    if !preload.trim().is_empty() {
        let what = format!("the libraries {preload} are loaded, and their workers may connect to other servers");
        risks.push(Risk { name: "libraries", what });
    }
    if foreign_tables && !can_refuse_foreign_tables(version) {
        let what = "it has foreign tables, and its version cannot refuse to read them from their servers".to_owned();
        risks.push(Risk { name: "foreign-tables", what });
    }
    risks
}

/// Whether a query in the database of the connection can reach another server by the name of a table.
pub fn has_foreign_tables(connection: &impl Connection) -> Result<bool, Failure> {
    let rows = connection.query("SELECT EXISTS (SELECT FROM pg_foreign_table) AS has_foreign_tables", &[])?;
    rows.one()?.get("has_foreign_tables")
}

/// Names of all risks that a person can accept.
pub const RISKS: [&str; 3] = ["tablespaces", "libraries", "foreign-tables"];

/// Refuses risks that are not accepted; returns the accepted ones, in words.
pub fn weigh(risks: &[Risk], accepted: &[String], wall: &machine::Wall) -> Result<String, Failure> {
    let (yes, no): (Vec<_>, Vec<_>) = risks.iter().partition(|risk| accepted.iter().any(|name| name == risk.name));
    let words = |risks: &[&Risk]| risks.iter().map(|risk| risk.what.as_str()).collect::<Vec<_>>().join("; ");
    if no.is_empty() {
        return Ok(words(&yes));
    }
    let names: Vec<_> = no.iter().map(|risk| risk.name).collect();
    let wall = match wall.files {
        true => format!("The wall `{}` keeps it from files, not from other servers", wall.name),
        false => format!("There is no wall around it: {}", wall.lacking),
    };
    let message = format!(
        "the copy could act on what lies outside of it: {}. {wall}. Install bubblewrap on the machine, or set \
         `accept: [{}]` in the step (an input of DR-003) if you know that nothing of it can be reached from there",
        words(&no),
        names.join(", ")
    );
    Err(Failure::denied("pg-not-isolated", message))
}

/// Refuses tablespaces if a wall blocks replay from them and gives no folders in their place.
pub fn no_folders(what: &str, wall: &machine::Wall) -> Failure {
    let message = format!(
        "the copy cannot be replayed behind the wall `{}`: {what}, and it gives the copy no folder in their place. \
         Install bubblewrap on the machine, whose wall does, or set `wall: none` and `accept: [tablespaces]` in the \
         step if you know that nothing of it can be reached from there",
        wall.name
    );
    Failure::denied("pg-not-isolated", message)
}

/// Refuses names that are not risks.
pub fn check_accepted(accepted: &[String]) -> Result<(), Failure> {
    match accepted.iter().find(|name| !RISKS.contains(&name.as_str())) {
        Some(name) => {
            let message = format!("`{name}` under `accept` is none of {}", RISKS.join(", "));
            Err(Failure::invalid_input("pg-not-isolated", message))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_version_is_read() {
        assert_eq!(parse_version("pg_ctl (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some((15, 18)));
        assert_eq!(parse_version("pg_ctl (PostgreSQL) 17.2\n"), Some((17, 2)));
        assert_eq!(parse_version("pg_ctl (PostgreSQL) 18beta1\n"), Some((18, 0)));
        assert_eq!(parse_version("nothing"), None);
    }

    #[test]
    fn the_command_line_fits_the_version() {
        let line = |version: ServerVersion, socket: Option<&str>| {
            let door = Door { port: 7, listen: if socket.is_some() { "" } else { "127.0.0.1" }, socket };
            let line = command_line(version, "/w/lb-1/data", &door, &settings(&[("Shared_Preload_Libraries", "pg_x")]));
            line.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        let has = |line: &[String], text: &str| line.iter().any(|setting| setting == text);
        let old = line((15, 7), None);
        assert!(!old.iter().any(|it| it.starts_with("restrict_") || it.starts_with("event_triggers")), "{old:?}");
        assert!(has(&old, "listen_addresses=127.0.0.1") && has(&old, "unix_socket_directories="), "{old:?}");
        assert!(
            has(&old, "shared_preload_libraries=pg_x") && has(&old, "max_logical_replication_workers=0"),
            "{old:?}"
        );
        assert!(has(&old, "hba_file=/w/lb-1/data/pg_hba.conf"), "{old:?}");
        let new = line((17, 0), Some("/w/lb-1/socket"));
        assert!(
            has(&new, "event_triggers=off") && has(&new, "restrict_nonsystem_relation_kind=foreign-table"),
            "{new:?}"
        );
        assert!(has(&new, "listen_addresses=") && has(&new, "unix_socket_directories=\"/w/lb-1/socket\""), "{new:?}");
        assert!(has(&line((15, 8), None), "restrict_nonsystem_relation_kind=foreign-table"));
    }

    #[test]
    fn only_what_stays_within_a_copy_can_be_set() {
        let check = |all: &[(&str, &str)], fine: bool| {
            assert_eq!(check_settings(&settings(all)).is_ok(), fine, "{all:?}");
        };
        check(&[("work_mem", "64MB"), ("Max_Connections", "400")], true);
        check(
            &[("shared_preload_libraries", "timescaledb, pg_stat_statements"), ("pg_stat_statements.max", "9")],
            true,
        );
        check(&[("pg_stat_statements.max", "9")], false);
        check(&[("shared_preload_libraries", "/tmp/x")], false);
        for name in [
            "include",
            "Data_Directory",
            "a b",
            "",
            "recovery_end_command",
            "external_pid_file",
            "log_directory",
            "ident_file",
            "session_preload_libraries",
            "jit_provider",
            "ssl_passphrase_command",
            "basebackup_to_shell.command",
            "archive_mode",
        ] {
            check(&[(name, "x")], false);
        }
        check(&[("work_mem", "1\narchive_command = 'x'")], false);
    }

    #[test]
    fn a_risk_is_refused_by_its_name_until_it_is_accepted() {
        let wall = machine::Wall {
            name: "none".to_owned(),
            files: false,
            folders: false,
            network: false,
            socket: false,
            lacking: "no bubblewrap".to_owned(),
        };
        let risks = [Risk { name: "tablespaces", what: "its WAL creates a tablespace in /srv/ts".to_owned() }];
        let refused = weigh(&risks, &[], &wall).expect_err("refused");
        assert_eq!(refused.code(), "pg-not-isolated");
        let message = &refused.reason().message;
        assert!(message.contains("/srv/ts") && message.contains("accept: [tablespaces]"), "{message}");
        assert!(weigh(&risks, &["tablespaces".to_owned()], &wall).is_ok());
        assert!(weigh(&[], &[], &wall).is_ok());
        assert!(check_accepted(&["everything".to_owned()]).is_err());
    }
}
