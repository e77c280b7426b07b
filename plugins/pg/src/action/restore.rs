//! `pg/restore`: a copy of a server as it was at a moment, beside the original.

use std::collections::BTreeMap;

use lifeboat_plugin::{Action, Call, Effect, Failure, Machine, Outcome, Process, machine};
use serde::{Deserialize, Serialize};

use crate::{
    backup::{
        base_backup::{self, BACKUPS},
        control::{self, Control},
    },
    copy::{
        choice::{self, Choice},
        copying,
        environment::{Environment, Original, Tablespaces, Wishes},
        instance::{self, Configuration, Instance},
        isolation,
        marker::{self, Marker},
        own_wal::OwnWal,
        proof::{Expected, Reached},
        recovery::{self, Goal},
        restore_command::RestoreCommand,
        target::Target,
        wal_tablespaces,
    },
    server::{self, Capabilities, Login, Moment},
    wal::{
        archive::{self, ARCHIVE, Archive},
        cluster::{self, Facts},
        segment::Lsn,
    },
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    server: String,
    target: Target,
    backup: Option<String>,
    timeline: Option<u32>,
    #[serde(default)]
    promote: bool,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    accept: Vec<String>,
    wall: Option<String>,
    archive: Option<String>,
    backups: Option<String>,
}

/// The result, which is kept beside the instance so that a repeated call returns it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Outputs {
    instance: String,
    port: u16,
    backup: String,
    reached_lsn: Lsn,
    #[serde(skip_serializing_if = "Option::is_none")]
    reached_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_end: Option<Lsn>,
    last_segment: String,
    timeline: u32,
    stopped: String,
    paused: bool,
    server_version: String,
    target: String,
    wall: String,
}

pub(super) fn action() -> Action {
    Action::new(
        "restore",
        Effect::Destroy,
        "Restores a copy of a server beside the original: a base backup and the archived WAL up to a target. The \
         copy never archives, listens only for the login of `server`, and stays read-only at the target unless it is \
         promoted. A retry removes what an earlier attempt of the step left unfinished, and nothing else. Before it \
         begins, it reads the header of every WAL segment that it needs; at the end, the log and the position of the \
         copy prove that the target was reached. It fails if replay ends anywhere else: `latest` is the end of the \
         last segment in the archive.",
    )
    .parameter("machine", "target<machine:destroy>", "Where the copy is made.")
    .parameter("server", "target<postgres:read>", "The original; its user, password and database open the copy too.")
    .parameter(
        "target",
        "one_of{latest: bool, immediate: bool, time: timestamp, lsn: string, xid: int, before_xid: int}",
        "Where recovery stops: after everything archived, as soon as the backup is consistent, at a time, at a \
         position, or after or just before the commit of a transaction.",
    )
    .optional("backup", "string", "The backup's folder (the newest one that ended before the target); empty means that one too.")
    .optional(
        "timeline",
        "int",
        "Which timeline is followed (the one that `server` writes on; that of the backup, where `immediate` names one); 0 means that one too.",
    )
    .optional("promote", "bool", "Make it a server of its own at the target (false: it stays in recovery, read-only).")
    .optional("settings", "map<string>", "Further settings of the copy: limits, memory, `shared_preload_libraries`.")
    .optional(
        "accept",
        "list<string>",
        "What the copy may reach outside of its folder if no wall can be built around it, by the names that the \
         refusal gives: `tablespaces`, `libraries`, `foreign-tables`.",
    )
    .optional(
        "wall",
        "string",
        "The wall to build around the copy, by its name (the strongest that the machine offers).",
    )
    .optional("archive", "string", "Folder of the binding with the WAL archive (`archive`).")
    .optional("backups", "string", "Folder of the binding with the base backups (`backups`).")
    .output("instance", "string", "The copy's name, for later steps.")
    .output("port", "int", "Where it listens on the machine.")
    .output("backup", "string", "The backup that it was made from.")
    .output("reached_lsn", "string", "How far its WAL was replayed.")
    .maybe_output("reached_time", "timestamp", "When the last replayed transaction committed.")
    .maybe_output("expected_end", "string", "How far it had to be replayed at least; absent if the target is a time.")
    .output("last_segment", "string", "The last WAL segment that was needed.")
    .output("timeline", "int", "The timeline that was followed.")
    .output("stopped", "string", "What the copy's log says of the end of recovery.")
    .output("paused", "bool", "Whether it is still in recovery.")
    .output("server_version", "string", "Its version.")
    .output("target", "string", "The target, in words.")
    .output("wall", "string", "What keeps it from acting outside of its folder: `bwrap`, `bwrap-files`, `user-net`, `user`, `landlock`, or `none`.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let mut parameters: Parameters = call.parameters()?;
    parameters.backup = parameters.backup.filter(|name| !name.is_empty());
    isolation::check_settings(&parameters.settings)?;
    isolation::check_accepted(&parameters.accept)?;
    let connection = caps.open(&parameters.server)?;
    let facts = cluster::facts(&connection)?;
    let moment = match &parameters.target {
        Target::Time(time) => Some(server::moment(&connection, time)?),
        _ => None,
    };
    let original = Original::ask(&connection)?;
    drop(connection);

    let machine = parameters.machine.as_str();
    let name = marker::instance_of(&call.key);
    let folder = marker::folder(caps, machine, &name)?;
    let instance = Instance { caps, machine, folder: &folder, startup: None };
    let mut marker = Marker {
        run: call.run.clone(),
        key: call.key.clone(),
        port: 0,
        login_as: parameters.server.clone(),
        system_identifier: facts.system_identifier.to_string(),
        created_ms: caps.now_ms(),
        by_socket: false,
        wall: String::new(),
    };
    if let Some(done) = claim(call, &instance, &mut marker)? {
        return outcome(done, true);
    }
    let basis = Basis::find(&instance, &parameters, &original, facts, moment)
        .and_then(|basis| {
            marker.port = basis.environment.free_port(&instance, &name, &[])?;
            Ok(basis)
        })
        .map_err(|failure| withdraw(&instance, failure))?;
    let Basis { origin, plan, own, environment, tablespaces } = basis;
    let wal = own.as_ref().map_or(&origin.archive.path, |own| &own.path);
    marker.by_socket = environment.wall.socket;
    marker.wall.clone_from(&environment.wall.name);
    caps.write_file(machine, &marker::path(&folder), &marker.print())?;
    let mut configuration = Configuration {
        instance: name.clone(),
        port: marker.port,
        listen: caps.listen_address(machine)?,
        ..origin.configuration(&parameters, &original.login, wal)
    };
    let place =
        Place { instance: &instance, environment: &environment, login: &original.login, choice: &origin.choice };
    let fetched = own.as_ref().map_or(Ok(()), |own| own.fetch(caps, machine));
    let (reached, stopped) = fetched
        .and_then(|()| copying::copy(&instance, &plan))
        .and_then(|()| place.bring_up(&tablespaces.folders()?, &mut configuration, &mut marker))
        .map_err(|failure| abandon(&instance, &marker, failure))?;
    let goal = Goal { configuration: &configuration, marker: &marker, choice: &origin.choice };
    let outputs = outputs(&goal, reached, stopped, &origin, &parameters.target);
    caps.write_file(machine, &marker::record(&folder), serde_json::json!(outputs).to_string().as_bytes())?;
    outcome(outputs, false)
}

/// Everything that is found out before a byte is copied.
struct Basis<'a, P> {
    origin: Origin,
    plan: copying::Plan,
    /// The copy's own WAL, if its server cannot read the archive itself.
    own: Option<OwnWal>,
    environment: Environment<'a>,
    tablespaces: Tablespaces<P>,
}

impl<'a, P: Process> Basis<'a, P> {
    fn find<C: Capabilities<Process = P>>(
        instance: &Instance<'_, C>,
        parameters: &'a Parameters,
        original: &Original,
        facts: Facts,
        moment: Option<Moment>,
    ) -> Result<Self, Failure> {
        let Instance { caps, machine, folder, .. } = *instance;
        let origin = Origin::find(caps, parameters, facts, moment)?;
        let plan = copying::plan(caps, machine, &origin.source, &original.tablespaces)?;
        let search = wal_tablespaces::search(caps, machine, &origin.archive, &origin.choice)?;
        let wishes =
            Wishes { settings: &parameters.settings, accepted: &parameters.accept, wall: parameters.wall.as_deref() };
        let archive = parameters.archive.as_deref().unwrap_or(ARCHIVE);
        let own = OwnWal::plan(caps, machine, archive, (&origin.archive, &origin.choice), folder)?;
        let wal = own.as_ref().map_or(&origin.archive.path, |own| &own.path);
        let environment = Environment::find(instance, wishes, original, wal)?;
        let tablespaces = environment.tablespaces(search)?;
        Ok(Self { origin, plan, own, environment, tablespaces })
    }
}

/// A restore that ends before anything is copied leaves nothing behind. The next attempt removes what cannot be removed now.
fn withdraw<C: Capabilities>(instance: &Instance<'_, C>, failure: Failure) -> Failure {
    if let Err(left) = instance.caps.remove(instance.machine, instance.folder) {
        instance.caps.warn(&format!("{} was not removed: {}", instance.folder, Failure::from(left).reason().message));
    }
    failure
}

/// What a copy is made from, and up to which point.
struct Origin {
    facts: Facts,
    moment: Option<Moment>,
    archive: Archive,
    choice: Choice,
    /// Absolute path of the backup.
    source: String,
    control: Control,
}

impl Origin {
    fn find<C: Capabilities>(
        caps: &C,
        parameters: &Parameters,
        facts: Facts,
        moment: Option<Moment>,
    ) -> Result<Self, Failure> {
        let machine = parameters.machine.as_str();
        let backups = caps.folder(machine, parameters.backups.as_deref().unwrap_or(BACKUPS))?;
        let facts = Facts { timeline: timeline(caps, parameters, &backups, &facts)?, ..facts };
        let archive = archive::list(caps, machine, parameters.archive.as_deref().unwrap_or(ARCHIVE), &facts)?;
        let wish = choice::Wish {
            target: &parameters.target,
            moment: moment.as_ref(),
            backup: parameters.backup.as_deref(),
            system_identifier: facts.system_identifier,
        };
        let choice = choice::choose(caps, machine, &archive, &backups, &wish)?;
        let source = format!("{backups}/{}", choice.backup.name);
        let control = control::read(caps, machine, &source)?;
        control.check_identifier(&source, facts.system_identifier)?;
        Ok(Self { facts, moment, archive, choice, source, control })
    }

    /// The part of the configuration that does not depend on where the copy is made.
    fn configuration(&self, parameters: &Parameters, login: &Login, wal: &str) -> Configuration {
        Configuration {
            instance: String::new(),
            port: 0,
            listen: String::new(),
            restore_command: RestoreCommand {
                archive: wal.to_owned(),
                segment_size: self.archive.segment_size,
                witness: self.last_segment(),
            },
            timeline: self.facts.timeline,
            target: parameters.target.settings(self.moment.as_ref(), last_record(&self.choice)),
            promote: parameters.promote,
            limits: self.control.limits(&login.limits),
            settings: parameters.settings.clone(),
        }
    }

    /// The last segment that replay needs.
    fn last_segment(&self) -> String {
        self.choice.segments.last().map_or_else(String::new, |last| last.name(self.facts.segment_size))
    }
}

fn outputs(goal: &Goal<'_>, reached: Reached, stopped: String, origin: &Origin, target: &Target) -> Outputs {
    Outputs {
        instance: goal.configuration.instance.clone(),
        port: goal.marker.port,
        last_segment: origin.last_segment(),
        backup: origin.choice.backup.name.clone(),
        reached_lsn: reached.lsn,
        reached_time: reached.time,
        expected_end: origin.choice.expected.lsn(),
        timeline: origin.facts.timeline,
        stopped,
        paused: reached.in_recovery,
        server_version: reached.version,
        target: target.describe(),
        wall: goal.marker.wall.clone(),
    }
}

/// Where a copy starts.
struct Place<'a, C: Capabilities> {
    instance: &'a Instance<'a, C>,
    environment: &'a Environment<'a>,
    login: &'a Login,
    choice: &'a Choice,
}

impl<C: Capabilities> Place<'_, C> {
    /// Configures the copy, starts it and waits for its target. A port that was free when it was tested can be taken when the
    /// server binds it, or be bound by a program that does not listen: the copy then tries the next one, which costs a start but
    /// no recovery.
    fn bring_up(
        &self,
        folders: &[String],
        configuration: &mut Configuration,
        marker: &mut Marker,
    ) -> Result<(Reached, String), Failure> {
        let Instance { caps, machine, folder, .. } = *self.instance;
        let mut refused = Vec::new();
        loop {
            let startup = self.environment.settle(self.instance, configuration, folders)?;
            let instance = Instance { startup: Some(&startup), ..*self.instance };
            let goal = Goal { configuration, marker, choice: self.choice };
            configure(&instance, &goal, self.login)?;
            match recovery::run(&instance, &goal) {
                Err(failure) if failure.code() == "pg-port-busy" && !marker.by_socket => {}
                end => return end,
            }
            refused.push(marker.port);
            marker.port = self.environment.free_port(&instance, &configuration.instance, &refused)?;
            configuration.port = marker.port;
            caps.info(&format!(
                "another program has taken port {}; using {} instead",
                refused[refused.len() - 1],
                marker.port
            ));
            caps.write_file(machine, &marker::path(folder), &marker.print())?;
            caps.remove(machine, &instance.log())?;
        }
    }
}

/// Which timeline is followed. A backup that is restored as it was taken needs no later one.
fn timeline(caps: &impl Machine, parameters: &Parameters, folder: &str, facts: &Facts) -> Result<u32, Failure> {
    let machine = parameters.machine.as_str();
    let own = match (&parameters.target, &parameters.backup) {
        (Target::Immediate(_), Some(name)) => {
            base_backup::check_name(name)?;
            base_backup::read(caps, machine, folder, name)?.map(|backup| backup.timeline)
        }
        _ => None,
    };
    Ok(parameters.timeline.filter(|timeline| *timeline != 0).or(own).unwrap_or(facts.timeline))
}

fn last_record(choice: &Choice) -> Option<Lsn> {
    match &choice.expected {
        Expected::Latest(end) => Some(end.record),
        _ => None,
    }
}

/// A useless copy does not keep its server, its port and its space; its log and its marker stay. What cannot be removed now is
/// named in the reason, and the next attempt removes it.
fn abandon<C: Capabilities>(instance: &Instance<'_, C>, marker: &Marker, failure: Failure) -> Failure {
    if !matches!(failure, Failure::Permanent(_) | Failure::Denied(_)) {
        return failure;
    }
    let stopped = instance.is_running().and_then(|running| if running { instance.stop() } else { Ok(()) });
    let without_port = Marker { port: 0, ..marker.clone() }.print();
    let path = marker::path(instance.folder);
    let removed = stopped
        .and_then(|()| instance.remove_files())
        .and_then(|()| Ok(instance.caps.write_file(instance.machine, &path, &without_port)?));
    if let Err(left) = removed {
        instance.caps.warn(&format!("{} was not removed: {}", instance.data(), left.reason().message));
    }
    failure
}

fn outcome(outputs: Outputs, again: bool) -> Result<Outcome, Failure> {
    let already = if again { " (by an earlier attempt)" } else { "" };
    let summary = format!(
        "{} is a copy from backup {} at {}, replayed to {}{already}",
        outputs.instance, outputs.backup, outputs.target, outputs.reached_lsn
    );
    Outcome::new(outputs, summary)
}

/// Claims the instance's folder for this call. If an earlier attempt of the same call had claimed it, returns what that attempt
/// reached if it still runs, or removes what it left.
fn claim<C: Machine>(call: &Call, instance: &Instance<'_, C>, marker: &mut Marker) -> Result<Option<Outputs>, Failure> {
    let Instance { caps, machine, folder, .. } = *instance;
    caps.create_folder(machine, folder)?;
    match caps.create_file(machine, &marker::path(folder), &marker.print()) {
        Ok(()) => return Ok(None),
        Err(machine::Error::Denied(reason)) if reason.code == "machine-exists" => {}
        Err(error) => return Err(error.into()),
    }
    let name = marker::instance_of(&call.key);
    let found = marker::read(caps, machine, &name)?;
    if found.key != call.key {
        let message = format!("`{name}` already belongs to `{}`", found.key);
        return Err(Failure::permanent("pg-not-ours", message));
    }
    marker.created_ms = found.created_ms;
    let running = instance.is_running()?;
    if running && let Ok(content) = caps.read_file(machine, &marker::record(folder)) {
        return serde_json::from_slice(&content)
            .map(Some)
            .map_err(|error| Failure::permanent("pg-marker-damaged", format!("{}: {error}", marker::record(folder))));
    }
    if running {
        instance.stop()?;
    }
    for leftover in [marker::record(folder), instance.log()] {
        caps.remove(machine, &leftover)?;
    }
    instance.remove_files()?;
    Ok(None)
}

/// Writes every file that configures the server anew, so that no setting of the original applies.
fn configure<C: Machine>(instance: &Instance<'_, C>, goal: &Goal<'_>, login: &Login) -> Result<(), Failure> {
    let write = |name: &str, content: &str| {
        instance.caps.write_file(instance.machine, &format!("{}/{name}", instance.data()), content.as_bytes())
    };
    write("postgresql.conf", &goal.configuration.print())?;
    write("postgresql.auto.conf", "")?;
    write("pg_hba.conf", &instance::host_access(&login.user, goal.marker.by_socket))?;
    write("pg_ident.conf", "")?;
    write("recovery.signal", "")?;
    Ok(())
}
