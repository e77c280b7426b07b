//! Bindings: which real system plays each role. Parsed here, used by the host. Credentials are references only.

mod check;
mod decode;
mod facts;
mod grammar;

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::{action::Effect, name::RoleName, types::TargetKind};

pub use self::{
    check::{NO_IDENTITY, changed, check, leases, unproved},
    decode::{Parsed, parse},
};
pub(crate) use self::{facts::fact_types, grammar::BINDINGS};

/// A bindings file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bindings {
    /// Each role's system.
    pub targets: BTreeMap<RoleName, Binding>,
    /// The people of each role of an `approve`: login names, and `group:NAME` for groups of the operating system. Where it names
    /// nobody at all, everybody who can reach the run may answer.
    pub people: BTreeMap<String, Vec<String>>,
    /// `sha256:…` of the file's bytes.
    pub digest: String,
    /// Where it came from, for messages.
    pub source: String,
}

/// The system behind a role.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// The most that any runbook may do with it.
    pub access: Effect,
    /// The system.
    pub system: System,
    /// The line in the bindings file, counted from 1, for refusals.
    pub line: u32,
}

/// A real system.
#[derive(Debug, Clone, PartialEq)]
pub enum System {
    /// A PostgreSQL server.
    Postgres(Postgres),
    /// A place where programs run.
    Machine(Machine),
    /// A channel to people.
    Notify(Notify),
    /// A traffic switch.
    Endpoint(Endpoint),
}

impl System {
    /// Its kind.
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Postgres(_) => TargetKind::Postgres,
            Self::Machine(_) => TargetKind::Machine,
            Self::Notify(_) => TargetKind::Notify,
            Self::Endpoint(_) => TargetKind::Endpoint,
        }
    }
}

/// A reference to a secret: `env:NAME` or `file:/path`. Only the host resolves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    /// An environment variable of the engine.
    Env(String),
    /// A file that the engine can read; a newline at its end is not part of the secret.
    File(String),
}

/// How to reach a PostgreSQL server.
#[derive(Debug, Clone, PartialEq)]
pub struct Postgres {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// Role to log in as.
    pub user: String,
    /// Its password.
    pub password: Option<SecretRef>,
    /// Whether and how the connection is encrypted.
    pub tls: Tls,
    /// `system_identifier` of `pg_control_system()`: proves that it is the server that is meant.
    pub system_identifier: Option<String>,
    /// How often a segment is archived at the latest; for the feasibility lint.
    pub archive_interval: Option<SignedDuration>,
}

/// Encryption of a PostgreSQL connection, in libpq's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// None.
    Disable,
    /// Encrypted; certificate checked against these roots (PEM file), or the platform's.
    VerifyFull {
        /// A PEM file of root certificates.
        root_cert: Option<String>,
    },
}

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
        /// Name or id.
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
    /// What running it can do.
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
}

/// A channel to people.
#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    /// Which format it takes.
    pub channel: Channel,
    /// Where to post; a reference where the address itself is the secret (Slack).
    pub url: Url,
    /// Key of the signature (webhook).
    pub secret: Option<SecretRef>,
}

/// The format of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// JSON with an HMAC-SHA-256 signature.
    Webhook,
    /// Slack's incoming webhook.
    Slack,
}

/// An address, or where to find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Url {
    /// Written in the file.
    Plain(String),
    /// A secret.
    Secret(SecretRef),
}

/// A traffic switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// An HTTP resource: GET shows `{"address": "host:port"}`, PUT sets it.
    Http {
        /// Its URL.
        url: String,
    },
    /// Programs of the operator: `show` prints the address, `switch` gets it as its last argument.
    Command {
        /// Program and arguments.
        show: Vec<String>,
        /// Program and arguments.
        switch: Vec<String>,
    },
}

/// A text that is no reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a secret is given by reference, as `env:NAME` or `file:/path`, never in the file itself")]
pub struct NotAReference;

impl TryFrom<String> for SecretRef {
    type Error = NotAReference;
    fn try_from(text: String) -> Result<Self, NotAReference> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if path.starts_with('/') => Ok(Self::File(path.to_owned())),
            _ => Err(NotAReference),
        }
    }
}

impl From<SecretRef> for String {
    fn from(secret: SecretRef) -> Self {
        match secret {
            SecretRef::Env(name) => format!("env:{name}"),
            SecretRef::File(path) => format!("file:{path}"),
        }
    }
}
