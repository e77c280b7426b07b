//! The marker of an instance: says which run made it and how to reach it. It is written before anything is restored, so that
//! nothing without an owner can be left behind, and nothing of another owner is ever removed.

use lifeboat_plugin::{Failure, Machine, Postgres, machine, postgres};
use serde::{Deserialize, Serialize};

use crate::call::digest::short_hash;

const FILE: &str = "lifeboat-instance.json";

/// The folder of a binding in which instances live.
pub const WORK: &str = "work";

/// What the marker's file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The run that made the instance.
    pub run: String,
    /// The call that made it: `run/step`.
    pub key: String,
    /// Where it listens.
    pub port: u16,
    /// The role whose user, password and database it knows.
    pub login_as: String,
    /// Of the cluster it is a copy of.
    pub system_identifier: String,
    /// Milliseconds since 1970 (UTC).
    pub created_ms: u64,
    /// Whether it is reached by the socket in its folder alone, and not over the network.
    #[serde(default)]
    pub by_socket: bool,
    /// The wall that it was started behind; empty before that.
    #[serde(default)]
    pub wall: String,
}

/// The instance of a call: the same for every attempt.
pub fn instance_of(key: &str) -> String {
    format!("lb-{}", short_hash(key))
}

/// An instance is one folder directly below `work`; any other name is refused before it becomes a path.
pub fn folder(caps: &impl Machine, machine: &str, instance: &str) -> Result<String, Failure> {
    let digits = instance.strip_prefix("lb-").unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = format!("`{instance}` is not the name of a copy such as `lb-1f2e3d4c5b`");
        return Err(Failure::invalid_input("pg-no-instance", message));
    }
    Ok(format!("{}/{instance}", caps.folder(machine, WORK)?))
}

/// The path of an instance's marker.
pub fn path(folder: &str) -> String {
    format!("{folder}/{FILE}")
}

/// The marker of an instance, if there is one.
pub fn find(caps: &impl Machine, machine: &str, instance: &str) -> Result<Option<Marker>, Failure> {
    let path = path(&folder(caps, machine, instance)?);
    match caps.read_file(machine, &path) {
        Ok(content) => serde_json::from_slice(&content).map(Some).map_err(|error| {
            Failure::permanent("pg-marker-damaged", format!("{path} does not say which run made this copy: {error}"))
        }),
        Err(machine::Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The marker of an instance; fails with `pg-no-instance` if there is none.
pub fn read(caps: &impl Machine, machine: &str, instance: &str) -> Result<Marker, Failure> {
    find(caps, machine, instance)?.ok_or_else(|| {
        let message = format!("there is no copy `{instance}` on `{machine}`: it was removed, or never restored");
        Failure::permanent("pg-no-instance", message)
    })
}

impl Marker {
    /// Opens the instance in this folder.
    pub fn open<C: Postgres>(&self, caps: &C, machine: &str, folder: &str) -> Result<C::Connection, postgres::Error> {
        let socket = format!("{folder}/socket");
        caps.open_instance(machine, self.port, &self.login_as, self.by_socket.then_some(socket.as_str()))
    }

    /// The file's content.
    pub fn print(&self) -> Vec<u8> {
        let mut content = serde_json::json!(self).to_string().into_bytes();
        content.push(b'\n');
        content
    }
}

/// What a restore keeps beside its copy once it has reached its target.
pub fn record(folder: &str) -> String {
    format!("{folder}/restored.json")
}

/// An instance on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundInstance {
    /// Its name.
    pub name: String,
    /// Its owner; `None` if its folder does not say.
    pub marker: Option<Marker>,
    /// Whether its server runs.
    pub running: bool,
    /// Whether it has reached its target once.
    pub restored: bool,
}

impl FoundInstance {
    /// The port that it holds. A server that was stopped after it had been restored holds none; one that is still being
    /// restored does.
    pub fn holds(&self) -> Option<u16> {
        let marker = self.marker.as_ref().filter(|marker| marker.port != 0 && !marker.by_socket)?;
        (self.running || !self.restored).then_some(marker.port)
    }
}

/// Every instance in the machine's folder `work`.
pub fn list(caps: &impl Machine, machine: &str) -> Result<Vec<FoundInstance>, Failure> {
    let work = caps.folder(machine, WORK)?;
    let mut found = Vec::new();
    for entry in caps.list_folder(machine, &work)? {
        if entry.kind != machine::EntryKind::Folder || folder(caps, machine, &entry.name).is_err() {
            continue;
        }
        let inside = caps.list_folder(machine, &format!("{work}/{}", entry.name))?;
        let has = |name: &str| inside.iter().any(|entry| entry.name == name);
        let running = has("data") && caps.server_runs(machine, &format!("{work}/{}/data", entry.name))?;
        let marker = find(caps, machine, &entry.name).unwrap_or_default();
        found.push(FoundInstance { marker, running, restored: has("restored.json"), name: entry.name });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_named_after_its_call() {
        assert_eq!(instance_of("run/restore"), instance_of("run/restore"));
        assert_ne!(instance_of("run/restore"), instance_of("run/restore2"));
        assert_eq!(instance_of("a").len(), 13);
    }

    #[test]
    fn a_stopped_copy_holds_no_port() {
        let check = |running: bool, restored: bool, by_socket: bool, port: u16, expect: Option<u16>| {
            let marker = Marker {
                run: "r".to_owned(),
                key: "r/s".to_owned(),
                port,
                login_as: "primary".to_owned(),
                system_identifier: "7".to_owned(),
                created_ms: 1,
                by_socket,
                wall: String::new(),
            };
            let found = FoundInstance { name: "lb-1".to_owned(), marker: Some(marker), running, restored };
            assert_eq!(found.holds(), expect, "{found:?}");
        };
        check(true, true, false, 7, Some(7));
        check(false, false, false, 7, Some(7));
        check(false, true, false, 7, None);
        check(true, true, true, 7, None);
        check(true, true, false, 0, None);
    }

    #[test]
    fn a_marker_reads_back() {
        let marker = Marker {
            run: "r".to_owned(),
            key: "r/s".to_owned(),
            port: 54_330,
            login_as: "primary".to_owned(),
            system_identifier: "7".to_owned(),
            created_ms: 1,
            by_socket: true,
            wall: "bwrap".to_owned(),
        };
        assert_eq!(serde_json::from_slice::<Marker>(&marker.print()).expect("a marker"), marker);
    }
}
