//! What expressions may know of the real systems: `targets.<role>.<fact>`. Never a secret, nor a reference to one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Bindings, Channel, System, Via};
use crate::{
    name::RoleName,
    types::{TargetKind, Type},
};

/// The facts of a kind of target, with their types.
pub(crate) fn fact_types(kind: TargetKind) -> Vec<(&'static str, Type)> {
    let text = |name| (name, Type::String);
    match kind {
        TargetKind::Postgres => vec![
            text("kind"),
            text("host"),
            ("port", Type::Int),
            text("database"),
            text("user"),
            text("system_identifier"),
            ("archive_interval", Type::Duration),
        ],
        TargetKind::Machine => {
            vec![text("kind"), text("via"), text("user"), text("identity"), ("folders", Type::Map(Type::String.into()))]
        }
        TargetKind::Notify => vec![text("kind"), text("channel")],
        TargetKind::Endpoint => vec![text("kind")],
    }
}

impl Bindings {
    /// What expressions may know of each role's system. A fact that the file does not give is not there.
    pub fn facts(&self) -> BTreeMap<RoleName, Value> {
        self.targets.iter().map(|(role, binding)| (role.clone(), facts(&binding.system))).collect()
    }
}

fn facts(system: &System) -> Value {
    let mut facts = match system {
        System::Postgres(server) => json!({
            "kind": "postgres",
            "host": server.host,
            "port": server.port,
            "database": server.database,
            "user": server.user,
            "system_identifier": server.system_identifier,
            "archive_interval": server.archive_interval.map(|length| format!("{length:#}").replace(' ', "")),
        }),
        System::Machine(machine) => {
            let paths = |(name, folder): (&String, &super::Folder)| (name.clone(), folder.path.clone());
            let folders: BTreeMap<String, String> = machine.folders.iter().map(paths).collect();
            json!({
                "kind": "machine",
                "via": via(&machine.via),
                "user": machine.user,
                "identity": machine.identity,
                "folders": folders,
            })
        }
        System::Notify(notify) => {
            let channel = match notify.channel {
                Channel::Webhook => "webhook",
                Channel::Slack => "slack",
            };
            json!({"kind": "notify", "channel": channel})
        }
        System::Endpoint(_) => json!({"kind": "endpoint"}),
    };
    if let Some(facts) = facts.as_object_mut() {
        facts.retain(|_, value| !value.is_null());
    }
    facts
}

/// The way to a machine in one word, also part of its lease's name.
pub(super) fn via(via: &Via) -> String {
    match via {
        Via::Local => "local".to_owned(),
        Via::Container { engine, name } => format!("{engine}/{name}"),
        Via::Ssh { host } => format!("ssh/{host}"),
    }
}
