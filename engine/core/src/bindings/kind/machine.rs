//! A place where programs run and files lie: this machine, a container, a host over SSH.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::json;

use super::{Fact, Hold, Kind, Protection, access::access, text};
use crate::{
    action::Effect,
    grammar::{Object, Shape, optional, required},
    types::Type,
    yaml::{Entry, Node},
};

/// A place where programs run and files lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// How to get there.
    pub via: Via,
    /// The user that programs run as; none: the engine's own.
    pub user: Option<String>,
    /// Programs that may be run: name → path and effect.
    pub programs: BTreeMap<String, Program>,
    /// Folders that may be used: name → path and access. Actions name folders, never paths of their own.
    pub folders: BTreeMap<String, Folder>,
    /// Ports on which instances may be started there: port there → address as the engine reaches it (`host:port`).
    pub ports: BTreeMap<u16, String>,
    /// Content of the file `.lifeboat-identity` in the folder `work`: proves that it is the place that is meant.
    pub identity: Option<String>,
}

/// How to get to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// It is this one.
    Local,
    /// A container of the local engine: the command line (`docker` or `podman`) and the container.
    Container {
        /// `docker` or `podman`.
        engine: String,
        /// Name or id of the container.
        name: String,
    },
    /// A host over SSH: everything else is in `ssh_config`.
    Ssh {
        /// As `ssh` takes it.
        host: String,
    },
}

/// A program that may be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Absolute path on the machine.
    pub path: String,
    /// The most that running it can do.
    pub effect: Effect,
}

/// A folder that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Absolute path on the machine.
    pub path: String,
    /// What may be done in it.
    pub access: Effect,
    /// Shell command that makes a plain file of one that lies in it in another form.
    pub restore_command: Option<String>,
    /// The longest time between two copies into it, where what lies in it is copied there from elsewhere.
    pub copy_interval: Option<SignedDuration>,
    /// How many days what lies in it is kept.
    pub retention_days: Option<u32>,
}

impl Folder {
    /// One that nothing else is said of.
    pub fn new(path: impl Into<String>, access: Effect) -> Self {
        Self { path: path.into(), access, restore_command: None, copy_interval: None, retention_days: None }
    }
}

/// The programs of PostgreSQL that `postgres_bin` allows, and what running them can do.
const POSTGRES_PROGRAMS: &[(&str, Effect)] = &[
    ("pg_waldump", Effect::Read),
    ("pg_controldata", Effect::Read),
    ("pg_verifybackup", Effect::Read),
    ("pg_isready", Effect::Read),
    ("pg_basebackup", Effect::Mutate),
    ("pg_ctl", Effect::Mutate),
    ("psql", Effect::Mutate),
    ("pg_dump", Effect::Mutate),
    ("pg_restore", Effect::Mutate),
    ("initdb", Effect::Mutate),
];

static MACHINE: Object = Object {
    what: "a `machine` target",
    one_of: &[],
    fields: &[
        access(),
        optional("via", "How to reach it; default: local.", Shape::WordOr(&["local"], &VIA)),
        optional("user", "The user that programs run as.", Shape::Text),
        optional("postgres_bin", "Folder of PostgreSQL's programs; setting it allows them.", Shape::Path),
        optional("programs", "Further programs that may be run.", Shape::Names(&Shape::Object(&PROGRAM))),
        optional("folders", "Folders that steps may use, by name.", Shape::Names(&Shape::Object(&FOLDER))),
        optional(
            "ports",
            "Ports for instances on it, each with the address at which the engine reaches it.",
            Shape::Ports(&Shape::HostPort),
        ),
        optional("identity", "Expected content of `.lifeboat-identity` in the folder `work`.", Shape::Text),
    ],
};

static VIA: Object = Object {
    what: "`via`",
    one_of: &["container", "ssh"],
    fields: &[
        optional("container", "A container of the local container engine.", Shape::Object(&CONTAINER)),
        optional("ssh", "A host over SSH.", Shape::Object(&SSH)),
    ],
};

static CONTAINER: Object = Object {
    what: "`container`",
    one_of: &[],
    fields: &[
        optional("engine", "Command of the container engine; default: docker.", Shape::Word(&["docker", "podman"])),
        required("name", "Name or id of the container.", Shape::Text),
    ],
};

static SSH: Object = Object {
    what: "`ssh`",
    one_of: &[],
    fields: &[required("host", "Host name as `ssh` takes it; everything else belongs in `ssh_config`.", Shape::Text)],
};

static PROGRAM: Object = Object {
    what: "a program",
    one_of: &[],
    fields: &[
        required("path", "Absolute path on the machine.", Shape::Path),
        required("access", "The most that running it can do.", Shape::Word(Effect::WORDS)),
    ],
};

static FOLDER: Object = Object {
    what: "a folder",
    one_of: &[],
    fields: &[
        required("path", "Absolute path on the machine.", Shape::Path),
        optional("access", "The most that may be done in it; default: read.", Shape::Word(Effect::WORDS)),
        optional(
            "restore_command",
            "Shell command that fetches the file `%f` of a WAL archive and writes it, uncompressed, to `%p`, as in \
             PostgreSQL: for archives whose segments are compressed or kept in subfolders.",
            Shape::RestoreCommand,
        ),
        optional("copy_interval", "Longest time between two copies into it from elsewhere: `6h`.", Shape::Duration),
        optional("retention_days", "How many days what lies in it is kept.", Shape::Int(1, 36_500)),
    ],
};

impl Kind for Machine {
    const GRAMMAR: &'static Object = &MACHINE;

    const FACTS: &'static [Fact<Self>] = &[
        text("via", |machine| json!(machine.via.in_one_word())),
        text("user", |machine| json!(machine.user)),
        text("identity", |machine| json!(machine.identity)),
        Fact {
            name: "folders",
            ty: || Type::Map(Type::String.into()),
            value: |machine| {
                let path = |(name, folder): (&String, &Folder)| (name.clone(), folder.path.clone());
                json!(machine.folders.iter().map(path).collect::<BTreeMap<_, _>>())
            },
        },
    ];

    fn decode(node: &Node) -> Option<Self> {
        let text = |key: &str| node.text_of(key).map(str::to_owned);
        let ports = entries(node, "ports");
        Some(Self {
            via: node.get("via").and_then(via).unwrap_or(Via::Local),
            user: text("user"),
            programs: programs(node),
            folders: entries(node, "folders").filter_map(folder).collect(),
            ports: ports.filter_map(|entry| Some((entry.key.parse().ok()?, entry.value.text()?.to_owned()))).collect(),
            identity: text("identity"),
        })
    }

    fn example() -> Self {
        let folder = |name: &str| (name.to_owned(), Folder::new(format!("/{name}"), Effect::Destroy));
        Self {
            via: Via::Local,
            user: Some("postgres".to_owned()),
            programs: BTreeMap::new(),
            folders: ["work", "archive", "backups"].map(folder).into(),
            ports: BTreeMap::new(),
            identity: Some("virtual".to_owned()),
        }
    }

    fn leases(&self) -> Vec<String> {
        let work = self.folders.get("work").map_or("", |folder| folder.path.trim_end_matches('/'));
        vec![format!("machine:{}:{work}", self.via.in_one_word())]
    }

    fn protection(&self) -> Protection<'_> {
        Protection::Kept(&self.folders)
    }

    fn hold(&self) -> Hold<'_> {
        Hold::Work(self)
    }

    fn lacks_identity(&self) -> Option<&'static str> {
        let help = "write a word of your choice into `.lifeboat-identity` in the folder `work`, \
                    and set `identity` to it";
        self.identity.is_none().then_some(help)
    }

    fn location(&self) -> String {
        let there = match &self.via {
            Via::Local => "this machine".to_owned(),
            Via::Container { engine, name } => format!("{engine} container {name}"),
            Via::Ssh { host } => format!("ssh {host}"),
        };
        let work = self.folders.get("work").map(|folder| format!(", {}", folder.path)).unwrap_or_default();
        format!("{there}{work}")
    }
}

impl Via {
    /// As expressions know it, and the name of the machine's lease.
    fn in_one_word(&self) -> String {
        match self {
            Self::Local => "local".to_owned(),
            Self::Container { engine, name } => format!("{engine}/{name}"),
            Self::Ssh { host } => format!("ssh/{host}"),
        }
    }
}

fn entries<'n>(node: &'n Node, key: &str) -> impl Iterator<Item = &'n Entry> {
    node.get(key).map(Node::entries).unwrap_or_default().iter()
}

fn via(node: &Node) -> Option<Via> {
    if let Some(container) = node.get("container") {
        let engine = container.text_of("engine").unwrap_or("docker").to_owned();
        return Some(Via::Container { engine, name: container.text_of("name")?.to_owned() });
    }
    Some(Via::Ssh { host: node.get("ssh")?.text_of("host")?.to_owned() })
}

fn programs(node: &Node) -> BTreeMap<String, Program> {
    let mut programs = BTreeMap::new();
    if let Some(folder) = node.text_of("postgres_bin") {
        let folder = folder.trim_end_matches('/');
        let program = |(name, effect): &(&str, Effect)| {
            ((*name).to_owned(), Program { path: format!("{folder}/{name}"), effect: *effect })
        };
        programs.extend(POSTGRES_PROGRAMS.iter().map(program));
    }
    programs.extend(entries(node, "programs").filter_map(|entry| {
        let effect = Effect::from_access(entry.value.text_of("access")?)?;
        Some((entry.key.clone(), Program { path: entry.value.text_of("path")?.to_owned(), effect }))
    }));
    programs
}

fn folder(entry: &Entry) -> Option<(String, Folder)> {
    let node = &entry.value;
    let access = node.text_of("access").and_then(Effect::from_access).unwrap_or(Effect::Read);
    let folder = Folder {
        restore_command: node.text_of("restore_command").map(str::to_owned),
        copy_interval: node.text_of("copy_interval").and_then(|text| text.parse().ok()),
        retention_days: node.whole_of("retention_days"),
        ..Folder::new(node.text_of("path")?, access)
    };
    Some((entry.key.clone(), folder))
}
