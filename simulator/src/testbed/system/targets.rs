//! The bindings file that lets the engine find the systems, made from the description of each.

use std::collections::BTreeMap;

use lifeboat_core::document;
use serde_json::{Value, json};

/// The file, with a target for each role.
pub(in crate::testbed) fn serialise(targets: &BTreeMap<String, Value>) -> String {
    document::write(&json!({ "lifeboat": 1, "targets": targets }))
}

#[cfg(test)]
mod tests {
    use lifeboat_core::{
        bindings::{System, parse},
        diagnostic::SourceFile,
    };

    use super::*;

    /// The engine reads the values correctly, whatever the name of the folder.
    #[test]
    fn awkward_names_come_back_whole() {
        let awkward = "file:/tmp/it's \"here\": #1 {x}\\n- %/primary-password";
        let primary = json!({
            "kind": "postgres", "access": "write", "host": "127.0.0.1", "port": 20001, "database": "app",
            "user": "lifeboat", "password": awkward, "tls": "disable", "system_identifier": "7423000000000000001",
            "archive_interval": "5s",
        });
        let recovery = json!({
            "kind": "machine", "access": "destroy", "via": "local", "postgres_bin": "/usr/lib/postgresql/15/bin",
            "folders": { "work": { "path": "/tmp/yes", "access": "destroy" } },
            "ports": { "20003": "127.0.0.1:20003" }, "identity": "0123",
        });
        let text = serialise(&BTreeMap::from([("primary".to_owned(), primary), ("recovery".to_owned(), recovery)]));
        let parsed = parse(&SourceFile { name: "bindings.yaml".into(), text: text.clone() });
        assert_eq!(parsed.diagnostics, [], "{text}");
        let targets = parsed.bindings.unwrap().targets;
        let system = |role: &str| &targets.iter().find(|(name, _)| name.as_str() == role).unwrap().1.system;
        let (System::Postgres(primary), System::Machine(recovery)) = (system("primary"), system("recovery")) else {
            panic!("other kinds: {text}");
        };
        assert_eq!(String::from(primary.password.clone().unwrap()), awkward);
        assert_eq!(primary.system_identifier.as_deref(), Some("7423000000000000001"));
        assert_eq!(recovery.identity.as_deref(), Some("0123"));
        assert_eq!(recovery.ports[&20003], "127.0.0.1:20003");
    }
}
