//! `pg/restore`: a copy of a server as it was at a moment, beside the original.

use std::collections::BTreeMap;

use lifeboat_plugin::{Action, Call, Effect, Failure, Machine, Outcome, machine};
use serde::{Deserialize, Serialize};

use crate::{
    archive::{self, ARCHIVE},
    backup::{BACKUPS, Backup},
    choice, control,
    instance::{self, Configuration, Instance},
    marker::{self, Marker},
    recovery::{self, Goal, Reached},
    server::{self, Capabilities, Login},
    target::Target,
    wal_name::Lsn,
};

/// What is needed on top of the copy's own size, in percent: WAL that is fetched, and the log.
const SPARE_PERCENT: u64 = 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    server: String,
    target: Target,
    backup: Option<String>,
    #[serde(default)]
    promote: bool,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    archive: Option<String>,
    backups: Option<String>,
}

/// What is returned, and kept beside the instance so that a repeated call returns it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Outputs {
    instance: String,
    port: u16,
    backup: String,
    reached_lsn: Lsn,
    #[serde(skip_serializing_if = "Option::is_none")]
    reached_time: Option<String>,
    paused: bool,
    server_version: String,
    target: String,
}

pub(super) fn action() -> Action {
    Action::new(
        "restore",
        Effect::Destroy,
        "Restores a copy of a server beside the original: a base backup and the archived WAL up to a target. The copy never \
         archives, listens only for the login of `server`, and stays read-only at the target unless it is promoted. Tried \
         again, it removes what an earlier attempt of its own has left half done; nothing else is ever removed.",
    )
    .parameter("machine", "target<machine:destroy>", "Where the copy is made.")
    .parameter("server", "target<postgres:read>", "The original; its user, password and database open the copy too.")
    .parameter(
        "target",
        "one_of{latest: bool, immediate: bool, time: timestamp, lsn: string, xid: int, before_xid: int}",
        "Where recovery stops: after everything archived, as soon as the backup is consistent, at a time, a position, or after or just \
         before the commit of a transaction.",
    )
    .optional("backup", "string", "The backup's folder; the newest that ended before the target unless given.")
    .optional("promote", "bool", "Make it a server of its own at the target (false: it stays in recovery, read-only).")
    .optional("settings", "map<string>", "Further settings of the copy, such as `shared_preload_libraries`.")
    .optional("archive", "string", "Folder of the binding with the WAL archive (`archive`).")
    .optional("backups", "string", "Folder of the binding with the base backups (`backups`).")
    .output("instance", "string", "The copy's name, for later steps.")
    .output("port", "int", "Where it listens on the machine.")
    .output("backup", "string", "The backup that it was made from.")
    .output("reached_lsn", "string", "How far its WAL was replayed.")
    .maybe_output("reached_time", "timestamp", "When the last replayed transaction had committed.")
    .output("paused", "bool", "Whether it still is in recovery.")
    .output("server_version", "string", "Its version.")
    .output("target", "string", "The target, in words.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    instance::check_settings(&parameters.settings)?;
    let connection = caps.open(&parameters.server)?;
    let facts = server::facts(&connection)?;
    let login = server::login(&connection, &instance::REPLAY_LIMITS)?;
    let moment = match &parameters.target {
        Target::Time(time) => Some(server::moment(&connection, time)?),
        _ => None,
    };
    drop(connection);

    let machine = parameters.machine.as_str();
    let name = marker::instance_of(&call.key);
    let folder = marker::folder(caps, machine, &name)?;
    let instance = Instance { caps, machine, folder: &folder };
    let mut marker = Marker {
        run: call.run.clone(),
        key: call.key.clone(),
        port: 0,
        login_as: parameters.server.clone(),
        system_identifier: facts.system_identifier.to_string(),
        created_ms: caps.now_ms(),
    };
    if let Some(done) = claim(call, &instance, &mut marker)? {
        return outcome(done, true);
    }
    let archive = archive::list(caps, machine, parameters.archive.as_deref().unwrap_or(ARCHIVE), &facts)?;
    let backups = caps.folder(machine, parameters.backups.as_deref().unwrap_or(BACKUPS))?;
    let wish =
        choice::Wish { target: &parameters.target, moment: moment.as_ref(), backup: parameters.backup.as_deref() };
    let choice = choice::choose(caps, machine, &archive, &backups, &wish)?;
    archive.check_owner(caps, machine, choice.segments[0], facts.system_identifier)?;
    let source = format!("{backups}/{}", choice.backup.name);
    let control = control::read(caps, machine, &source)?;
    control.check_identifier(&source, facts.system_identifier)?;

    marker.port = free_port(caps, machine, &name)?;
    caps.write_file(machine, &marker::path(&folder), &marker.print())?;
    let configuration = Configuration {
        instance: name.clone(),
        port: marker.port,
        listen: caps.listen_address(machine)?,
        archive: archive.path.clone(),
        target: parameters.target.settings(moment.as_ref()),
        promote: parameters.promote,
        limits: control.limits(&login.limits),
        settings: parameters.settings.clone(),
    };
    let goal = Goal { configuration: &configuration, login_as: &parameters.server, choice: &choice };
    let reached = bring_up(&instance, &source, &goal, &login).map_err(|failure| abandon(&instance, failure))?;
    let outputs = Outputs {
        instance: name,
        port: marker.port,
        backup: choice.backup.name,
        reached_lsn: reached.lsn,
        reached_time: reached.time,
        paused: reached.in_recovery,
        server_version: reached.version,
        target: parameters.target.describe(),
    };
    caps.write_file(machine, &record(&folder), serde_json::json!(outputs).to_string().as_bytes())?;
    outcome(outputs, false)
}

/// Copies the backup, configures the copy, starts it and waits for its target.
fn bring_up<C: Capabilities>(
    instance: &Instance<'_, C>,
    source: &str,
    goal: &Goal<'_>,
    login: &Login,
) -> Result<Reached, Failure> {
    copy(instance, source, &goal.choice.backup)?;
    configure(instance, goal.configuration, login)?;
    instance.start()?;
    recovery::wait(instance, goal)
}

/// A copy that will never be of use does not keep its server and its space; its log and its marker stay. What can not be
/// removed now is named beside the reason, and goes with the next attempt.
fn abandon<C: Capabilities>(instance: &Instance<'_, C>, failure: Failure) -> Failure {
    if !matches!(failure, Failure::Permanent(_)) {
        return failure;
    }
    let stopped = instance.is_running().and_then(|running| if running { instance.stop() } else { Ok(()) });
    let removed = stopped.and_then(|()| Ok(instance.caps.remove(instance.machine, &instance.data())?));
    if let Err(left) = removed {
        instance.caps.warn(&format!("{} is left behind: {}", instance.data(), left.reason().message));
    }
    failure
}

fn record(folder: &str) -> String {
    format!("{folder}/restored.json")
}

fn outcome(outputs: Outputs, again: bool) -> Result<Outcome, Failure> {
    let already = if again { " (by an earlier attempt)" } else { "" };
    let summary = format!(
        "{} is a copy from backup {} at {}, replayed to {}{already}",
        outputs.instance, outputs.backup, outputs.target, outputs.reached_lsn
    );
    Outcome::new(outputs, summary)
}

/// Makes the instance's folder this call's own. Where an earlier attempt of the same call had claimed it: returns what that
/// attempt reached if it still runs, or removes what it has left.
fn claim<C: Machine>(call: &Call, instance: &Instance<'_, C>, marker: &mut Marker) -> Result<Option<Outputs>, Failure> {
    let Instance { caps, machine, folder } = *instance;
    caps.create_folder(machine, folder)?;
    match caps.create_file(machine, &marker::path(folder), &marker.print()) {
        Ok(()) => return Ok(None),
        Err(machine::Error::Denied(reason)) if reason.code == "machine-exists" => {}
        Err(error) => return Err(error.into()),
    }
    let name = marker::instance_of(&call.key);
    let found = marker::read(caps, machine, &name)?;
    if found.key != call.key {
        let message = format!("`{name}` belongs to `{}` already", found.key);
        return Err(Failure::permanent("pg-not-ours", message));
    }
    marker.created_ms = found.created_ms;
    let running = found.port != 0 && instance.is_running()?;
    if running && let Ok(content) = caps.read_file(machine, &record(folder)) {
        return serde_json::from_slice(&content)
            .map(Some)
            .map_err(|error| Failure::permanent("pg-marker-damaged", format!("{}: {error}", record(folder))));
    }
    if running {
        instance.stop()?;
    }
    for leftover in [record(folder), instance.data(), instance.log()] {
        caps.remove(machine, &leftover)?;
    }
    Ok(None)
}

/// The first port of the binding that neither another instance claims nor anything answers on.
fn free_port<C: Machine>(caps: &C, machine: &str, instance: &str) -> Result<u16, Failure> {
    // Exit code of pg_isready where nothing answers.
    const NO_ANSWER: i32 = 2;
    for port in marker::free_ports(caps, machine, instance)? {
        let arguments = ["-h", "127.0.0.1", "-p", &port.to_string(), "-t", "2"].map(str::to_owned);
        if caps.run(machine, "pg_isready", &arguments, None)?.exit == NO_ANSWER {
            return Ok(port);
        }
    }
    let message = format!("every port that the binding of `{machine}` allows for instances is taken");
    Err(Failure::transient("pg-no-port", message))
}

fn copy<C: Machine>(instance: &Instance<'_, C>, source: &str, backup: &Backup) -> Result<(), Failure> {
    if backup.tablespaces {
        let message = format!("{source} has tablespaces, whose folders a copy beside the original would share");
        return Err(Failure::permanent("pg-tablespaces", message));
    }
    let needed = backup.size_bytes + backup.size_bytes * SPARE_PERCENT / 100;
    let free = instance.caps.free_space(instance.machine, instance.folder)?;
    if free < needed {
        let message = format!("the copy needs {needed} bytes, {free} are free below {}", instance.folder);
        return Err(Failure::permanent("pg-no-space", message));
    }
    let arguments = ["-a", "--reflink=auto", "-T", source, &instance.data()].map(str::to_owned);
    let output = instance.caps.run(instance.machine, "cp", &arguments, None)?;
    if output.succeeded() {
        return Ok(());
    }
    let says = output.last_lines(3);
    let code = if says.contains("No space left") { "pg-no-space" } else { "pg-copy-failed" };
    Err(Failure::permanent(code, format!("copying {source}: {says}")))
}

/// Replaces every file of the backup that configures a server, so that nothing of the original's applies.
fn configure<C: Machine>(
    instance: &Instance<'_, C>,
    configuration: &Configuration,
    login: &Login,
) -> Result<(), Failure> {
    let write = |name: &str, content: &str| {
        instance.caps.write_file(instance.machine, &format!("{}/{name}", instance.data()), content.as_bytes())
    };
    write("postgresql.conf", &configuration.print())?;
    write("postgresql.auto.conf", "")?;
    write("pg_hba.conf", &instance::host_access(&login.user))?;
    write("pg_ident.conf", "")?;
    for signal in ["standby.signal", "recovery.signal"] {
        instance.caps.remove(instance.machine, &format!("{}/{signal}", instance.data()))?;
    }
    write(configuration.signal(), "")?;
    Ok(())
}
