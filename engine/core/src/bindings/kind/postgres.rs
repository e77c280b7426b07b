//! A PostgreSQL server, reached over its protocol.

use jiff::SignedDuration;
use serde_json::json;

use super::{Fact, Hold, Kind, Protection, access::access, text};
use crate::{
    grammar::{Object, Shape, optional, required},
    secret::SecretRef,
    types::Type,
    yaml::{Node, Yaml},
};

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

static POSTGRES: Object = Object {
    what: "a `postgres` target",
    one_of: &[],
    fields: &[
        access(),
        required("host", "Host name or address.", Shape::Text),
        optional("port", "TCP port; default: 5432.", Shape::Int(1, 65535)),
        required("database", "Database.", Shape::Text),
        required("user", "Role to log in as.", Shape::Text),
        optional("password", "Its password, as `env:NAME` or `file:/path`.", Shape::Secret),
        optional("tls", "Encryption; default: verify-full.", Shape::Word(&["disable", "verify-full"])),
        optional("root_cert", "PEM file of root certificates; default: those of the platform.", Shape::Path),
        optional("system_identifier", "Proves that this is the intended server.", Shape::Text),
        optional("archive_interval", "Longest time between two archived WAL segments.", Shape::Duration),
    ],
};

impl Kind for Postgres {
    const GRAMMAR: &'static Object = &POSTGRES;

    const FACTS: &'static [Fact<Self>] = &[
        text("host", |server| json!(server.host)),
        Fact { name: "port", ty: || Type::Int, value: |server| json!(server.port) },
        text("database", |server| json!(server.database)),
        text("user", |server| json!(server.user)),
        text("system_identifier", |server| json!(server.system_identifier)),
        Fact {
            name: "archive_interval",
            ty: || Type::Duration,
            value: |server| json!(server.archive_interval.map(|length| format!("{length:#}").replace(' ', ""))),
        },
    ];

    fn decode(node: &Node) -> Option<Self> {
        let text = |key: &str| node.text_of(key).map(str::to_owned);
        let port = match node.get("port").map(|node| &node.value) {
            Some(Yaml::Int(port)) => u16::try_from(*port).ok()?,
            _ => 5432,
        };
        let tls = match node.text_of("tls") {
            Some("disable") => Tls::Disable,
            _ => Tls::VerifyFull { root_cert: text("root_cert") },
        };
        Some(Self {
            host: text("host")?,
            port,
            database: text("database")?,
            user: text("user")?,
            password: SecretRef::under(node, "password"),
            tls,
            system_identifier: text("system_identifier"),
            archive_interval: node.text_of("archive_interval").and_then(|text| text.parse().ok()),
        })
    }

    fn example() -> Self {
        Self {
            host: "virtual".to_owned(),
            port: 5432,
            database: "app".to_owned(),
            user: "lifeboat".to_owned(),
            password: None,
            tls: Tls::Disable,
            system_identifier: Some("7423000000000000001".to_owned()),
            archive_interval: Some(SignedDuration::from_mins(5)),
        }
    }

    /// Where its identity is known it has two names, so that it is one for bindings that know it and for bindings that do not.
    fn leases(&self) -> Vec<String> {
        let host = match self.host.as_str() {
            "127.0.0.1" | "::1" | "[::1]" => "localhost".to_owned(),
            host => host.to_ascii_lowercase(),
        };
        let known = self.system_identifier.iter().map(|identifier| format!("postgres:{identifier}"));
        known.chain([format!("postgres:{host}:{}", self.port)]).collect()
    }

    fn protection(&self) -> Protection<'_> {
        Protection::Archived(self.archive_interval)
    }

    fn hold(&self) -> Hold<'_> {
        Hold::Server(self)
    }

    fn lacks_identity(&self) -> Option<&'static str> {
        let help = "add `system_identifier`, as printed by `SELECT system_identifier FROM pg_control_system()`";
        self.system_identifier.is_none().then_some(help)
    }

    fn location(&self) -> String {
        let identity = self.system_identifier.as_deref().unwrap_or("not given");
        format!("postgres {}:{}/{} (identity {identity})", self.host, self.port, self.database)
    }
}
