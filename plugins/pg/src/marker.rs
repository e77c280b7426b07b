//! The marker of an instance: says which run made it and how to reach it. It is written before anything is restored, so
//! that nothing without an owner can be left behind, and nothing that belongs to somebody else is ever removed.

use lifeboat_plugin::{Failure, Machine, machine};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::exact_set::hexadecimal;

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
}

/// The instance of a call: the same for every attempt.
pub fn instance_of(key: &str) -> String {
    format!("lb-{}", short_hash(key))
}

/// Ten hexadecimal digits of the text's SHA-256.
pub fn short_hash(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes())[..5])
}

/// An instance is one folder below `work`; a name that is none is refused before it becomes a path.
pub fn folder(caps: &impl Machine, machine: &str, instance: &str) -> Result<String, Failure> {
    let digits = instance.strip_prefix("lb-").unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = format!("`{instance}` is not the name of an instance such as `lb-1f2e3d4c5b`");
        return Err(Failure::invalid_input("pg-no-instance", message));
    }
    Ok(format!("{}/{instance}", caps.folder(machine, WORK)?))
}

/// Where an instance's marker lies.
pub fn path(folder: &str) -> String {
    format!("{folder}/{FILE}")
}

/// The marker of an instance, if there is one.
pub fn find(caps: &impl Machine, machine: &str, instance: &str) -> Result<Option<Marker>, Failure> {
    let path = path(&folder(caps, machine, instance)?);
    match caps.read_file(machine, &path) {
        Ok(content) => serde_json::from_slice(&content).map(Some).map_err(|error| {
            Failure::permanent("pg-marker-damaged", format!("{path} does not say whose instance this is: {error}"))
        }),
        Err(machine::Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The marker of an instance; fails with `pg-no-instance` where there is none.
pub fn read(caps: &impl Machine, machine: &str, instance: &str) -> Result<Marker, Failure> {
    find(caps, machine, instance)?.ok_or_else(|| {
        let message = format!("there is no instance `{instance}` on `{machine}`: it was removed, or never restored");
        Failure::permanent("pg-no-instance", message)
    })
}

impl Marker {
    /// The file's content.
    pub fn print(&self) -> Vec<u8> {
        let mut content = serde_json::json!(self).to_string().into_bytes();
        content.push(b'\n');
        content
    }
}

/// Ports of the machine that no other instance claims.
pub fn free_ports(caps: &impl Machine, machine: &str, instance: &str) -> Result<Vec<u16>, Failure> {
    let mut ports = caps.ports(machine)?;
    for entry in caps.list_folder(machine, &caps.folder(machine, WORK)?)? {
        let other = entry.name != instance && entry.name.starts_with("lb-") && entry.kind == machine::EntryKind::Folder;
        if other && let Ok(Some(marker)) = find(caps, machine, &entry.name) {
            ports.retain(|port| *port != marker.port);
        }
    }
    Ok(ports)
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
    fn a_marker_reads_back() {
        let marker = Marker {
            run: "r".to_owned(),
            key: "r/s".to_owned(),
            port: 54_330,
            login_as: "primary".to_owned(),
            system_identifier: "7".to_owned(),
            created_ms: 1,
        };
        assert_eq!(serde_json::from_slice::<Marker>(&marker.print()).expect("a marker"), marker);
    }
}
