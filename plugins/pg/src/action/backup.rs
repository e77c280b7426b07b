//! `pg/backup`: a base backup, checked as soon as it exists.

use lifeboat_plugin::{Action, Call, Effect, Failure, Machine, Outcome};
use serde::Deserialize;
use serde_json::json;

use super::verify_backup::check_files;
use crate::{
    backup::{
        base_backup::{self, BACKUPS},
        control,
    },
    call::digest::short_hash,
    server::{self, Capabilities},
    wal::cluster,
};

/// The folder of a binding with the server's socket.
const SOCKETS: &str = "sockets";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    machine: String,
    label: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    backups: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "backup",
        Effect::Mutate,
        "Takes a base backup with pg_basebackup, run on the machine, and verifies it against its manifest (SHA-256). \
         Plugins never see a secret, so pg_basebackup must log in without one from Lifeboat: over a local socket, \
         through a trusted replication entry, or with the `.pgpass` of the machine's user.",
    )
    .parameter("server", "target<postgres:read>", "The server; the backup must be one of it.")
    .parameter("machine", "target<machine:write>", "Where pg_basebackup runs and the backup is kept.")
    .optional("label", "string", "The backup's label (`lifeboat`).")
    .optional(
        "host",
        "string",
        "Where pg_basebackup finds the server: a host, or the folder of its socket. Without it, that is the folder \
         `sockets` of the binding, if there is one.",
    )
    .optional("port", "int", "The port there; in the folder `sockets` that of the server.")
    .optional("user", "string", "The replication role.")
    .optional("backups", "string", "Folder of the binding for base backups (`backups`).")
    .output("backup", "string", "The backup's folder.")
    .output("start_lsn", "string", "Where replay begins.")
    .maybe_output("end_lsn", "string", "The position at which it is consistent.")
    .output("size_bytes", "int", "Its size.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let facts = cluster::facts(&caps.open(&parameters.server)?)?;
    let folder = caps.folder(machine, parameters.backups.as_deref().unwrap_or(BACKUPS))?;
    let prefix = format!("base-{}", short_hash(&call.key));
    let name = match finished(caps, machine, &folder, &prefix)? {
        Some(name) => name,
        None => {
            // Each attempt has its own folder: what a killed attempt left has no manifest and is never taken for a backup, and
            // this action may not remove anything.
            let name = format!("{prefix}-{}", call.attempt);
            let found = Found::of(caps, &parameters)?;
            take(caps, &parameters, &found, &format!("{folder}/{name}"))?;
            name
        }
    };
    let path = format!("{folder}/{name}");
    check_files(caps, machine, &path)?;
    control::read(caps, machine, &path)?.check_identifier(&path, facts.system_identifier)?;
    let missing = || Failure::permanent("pg-backup-damaged", format!("{path} has no backup_label"));
    let backup = base_backup::read(caps, machine, &folder, &name)?.ok_or_else(missing)?;
    let mut outputs = json!({ "backup": name, "start_lsn": backup.start_lsn, "size_bytes": backup.size_bytes });
    if let Some(end) = backup.end_lsn {
        outputs["end_lsn"] = end.to_string().into();
    }
    Outcome::new(outputs, format!("{name}: {} bytes from {}, checked", backup.size_bytes, backup.start_lsn))
}

/// The backup that an earlier attempt of the same call finished.
fn finished(caps: &impl Machine, machine: &str, folder: &str, prefix: &str) -> Result<Option<String>, Failure> {
    let backups = base_backup::list(caps, machine, folder)?;
    Ok(backups.into_iter().map(|backup| backup.name).find(|name| name.starts_with(prefix)))
}

/// Where pg_basebackup finds the server.
struct Found {
    host: Option<String>,
    port: Option<String>,
}

impl Found {
    fn of(caps: &impl Capabilities, parameters: &Parameters) -> Result<Self, Failure> {
        let port = parameters.port.map(|port| port.to_string());
        let sockets = || caps.folder(&parameters.machine, SOCKETS).ok();
        match (&parameters.host, sockets()) {
            (None, Some(folder)) => {
                let own = || server::setting(&caps.open(&parameters.server)?, "port");
                Ok(Self { host: Some(folder), port: if port.is_some() { port } else { own()? } })
            }
            (host, _) => Ok(Self { host: host.clone(), port }),
        }
    }
}

fn take(caps: &impl Machine, parameters: &Parameters, found: &Found, path: &str) -> Result<(), Failure> {
    let output = caps.run(&parameters.machine, "pg_basebackup", &arguments(parameters, found, path)?, None)?;
    if output.succeeded() {
        return Ok(());
    }
    let says = output.last_lines(4);
    if says.contains("No space left") {
        return Err(Failure::permanent("pg-no-space", says));
    }
    if says.contains("no password supplied") || says.contains("authentication failed") || says.contains("pg_hba.conf") {
        let message = format!("pg_basebackup cannot log in without a password, and Lifeboat gives it none: {says}");
        return Err(Failure::permanent("pg-backup-login", message));
    }
    Err(Failure::transient("pg-backup-failed", format!("pg_basebackup ended with {}: {says}", output.exit)))
}

fn arguments(parameters: &Parameters, found: &Found, path: &str) -> Result<Vec<String>, Failure> {
    let label = parameters.label.as_deref().unwrap_or("lifeboat");
    let mut arguments: Vec<String> =
        ["-D", path, "-F", "plain", "-X", "stream", "-c", "fast", "-w", "--manifest-checksums=SHA256", "-l", label]
            .map(str::to_owned)
            .to_vec();
    for (option, value) in [("-h", &found.host), ("-p", &found.port), ("-U", &parameters.user)] {
        if let Some(value) = value {
            if value.starts_with('-') || value.is_empty() {
                return Err(Failure::invalid_input("pg-backup-login", format!("`{value}` cannot follow {option}")));
            }
            arguments.extend([option.to_owned(), value.clone()]);
        }
    }
    Ok(arguments)
}
