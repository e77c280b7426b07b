//! The bindings that let the engine find the testbed's systems.

use std::{fmt::Write, path::Path};

use super::roles;

/// What the bindings of a testbed say.
pub(super) struct Facts<'a> {
    pub(super) primary: (&'a str, u16),
    pub(super) primary_password: &'a Path,
    pub(super) system_identifier: &'a str,
    pub(super) archive_timeout_s: u32,
    pub(super) machine: MachineFacts,
    /// Root of the shared folders as the machine sees them.
    pub(super) root: &'a str,
    pub(super) identity: &'a str,
    pub(super) webhook_url: &'a str,
    pub(super) webhook_key: &'a Path,
}

/// What the bindings say of the recovery machine.
#[derive(Debug, Clone)]
pub(super) struct MachineFacts {
    /// `local`, or the container with its engine.
    pub(super) container: Option<(String, String)>,
    pub(super) user: Option<String>,
    pub(super) bin: String,
    /// Port there, and the address of it as the engine reaches it.
    pub(super) ports: Vec<(u16, String)>,
}

/// The bindings file.
pub(super) fn render(facts: &Facts<'_>) -> String {
    let mut text = String::new();
    write_all(&mut text, facts).ok(); // writing to a string does not fail
    text
}

fn write_all(out: &mut String, facts: &Facts<'_>) -> std::fmt::Result {
    let file = |path: &Path| quoted(&format!("file:{}", path.display()));
    writeln!(out, "lifeboat: 1\ntargets:\n  primary:\n    kind: postgres\n    access: write")?;
    writeln!(out, "    host: {}\n    port: {}", quoted(facts.primary.0), facts.primary.1)?;
    writeln!(out, "    database: {}\n    user: {}", roles::DATABASE, roles::ENGINE)?;
    writeln!(out, "    password: {}\n    tls: disable", file(facts.primary_password))?;
    writeln!(out, "    system_identifier: {}", quoted(facts.system_identifier))?;
    writeln!(out, "    archive_interval: {}s", facts.archive_timeout_s)?;
    write_machine(out, facts)?;
    writeln!(out, "  oncall:\n    kind: notify\n    access: write\n    channel: webhook")?;
    writeln!(out, "    url: {}\n    secret: {}", quoted(facts.webhook_url), file(facts.webhook_key))
}

fn write_machine(out: &mut String, facts: &Facts<'_>) -> std::fmt::Result {
    let machine = &facts.machine;
    writeln!(out, "  recovery:\n    kind: machine\n    access: destroy")?;
    match &machine.container {
        None => writeln!(out, "    via: local")?,
        Some((engine, name)) => {
            writeln!(out, "    via: {{ container: {{ engine: {engine}, name: {} }} }}", quoted(name))?;
        }
    }
    if let Some(user) = &machine.user {
        writeln!(out, "    user: {}", quoted(user))?;
    }
    writeln!(out, "    postgres_bin: {}\n    folders:", quoted(&machine.bin))?;
    for (name, access) in [("work", "destroy"), ("archive", "read"), ("backups", "write"), ("sockets", "read")] {
        let path = quoted(&format!("{}/{name}", facts.root));
        writeln!(out, "      {name}: {{ path: {path}, access: {access} }}")?;
    }
    writeln!(out, "    ports:")?;
    for (port, address) in &machine.ports {
        writeln!(out, "      {port}: {}", quoted(address))?;
    }
    writeln!(out, "    identity: {}", quoted(facts.identity))
}

/// A YAML string in double quotes, which has JSON's escapes.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use lifeboat_core::{
        bindings::{System, parse},
        diagnostic::SourceFile,
    };

    use super::*;

    fn facts(machine: MachineFacts) -> String {
        render(&Facts {
            primary: ("127.0.0.1", 20001),
            primary_password: Path::new("/tmp/it's \"here\"/primary-password"),
            system_identifier: "7423000000000000001",
            archive_timeout_s: 5,
            machine,
            root: "/srv/lifeboat",
            identity: "recovery-a1b2",
            webhook_url: "http://127.0.0.1:20002/hook",
            webhook_key: Path::new("/tmp/webhook-key"),
        })
    }

    /// What the engine makes of it: no complaint, and the awkward path whole.
    fn check(text: &str) {
        let parsed = parse(&SourceFile { name: "bindings.yaml".into(), text: text.to_owned() });
        assert_eq!(parsed.diagnostics, []);
        let targets = parsed.bindings.unwrap().targets;
        let System::Postgres(primary) = &targets.iter().find(|(role, _)| role.as_str() == "primary").unwrap().1.system
        else {
            panic!("the primary is no server");
        };
        let password = String::from(primary.password.clone().unwrap());
        assert_eq!(password, "file:/tmp/it's \"here\"/primary-password");
        assert_eq!(targets.len(), 3);
    }

    #[test]
    fn process() {
        let text = facts(MachineFacts {
            container: None,
            user: Some("postgres".into()),
            bin: "/usr/lib/postgresql/15/bin".into(),
            ports: vec![(20003, "127.0.0.1:20003".into())],
        });
        check(&text);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn container() {
        let text = facts(MachineFacts {
            container: Some(("docker".into(), "lifeboat-1-recovery".into())),
            user: Some("postgres".into()),
            bin: "/usr/lib/postgresql/17/bin".into(),
            ports: vec![(25430, "127.0.0.1:32768".into()), (25431, "127.0.0.1:32769".into())],
        });
        check(&text);
        insta::assert_snapshot!(text);
    }
}
