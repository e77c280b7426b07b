//! Takes bindings out of their YAML. What does not fit the grammar has been reported before and is passed over here.

use std::collections::BTreeMap;

use super::{
    BINDINGS, Binding, Bindings, Channel, Endpoint, Folder, Machine, Notify, Postgres, Program, SecretRef, System, Tls,
    Url, Via,
};
use crate::{
    action::Effect,
    diagnostic::{Diagnostic, Findings, SourceFile},
    digest::sha256,
    grammar::{Shape, check},
    name::RoleName,
    yaml::{self, Entry, Node, Yaml},
};

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

/// What came of reading a bindings file.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The bindings; they are there if no diagnostic is an error.
    pub bindings: Option<Bindings>,
    /// Everything that was found, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a bindings file. Secrets stay references.
pub fn parse(file: &SourceFile) -> Parsed {
    let mut findings = Findings::new(file);
    let root = yaml::read(&mut findings);
    let bindings = root.and_then(|root| {
        check(&mut findings, &root, &Shape::Object(&BINDINGS));
        let entries = root.get("targets").map(Node::entries).unwrap_or_default();
        let targets = entries.iter().filter_map(|entry| Some((RoleName::new(&*entry.key).ok()?, binding(entry)?)));
        let targets = targets.collect();
        let people = root.get("people").map(Node::entries).unwrap_or_default().iter().map(people).collect();
        let digest = sha256(file.text.as_bytes());
        (!findings.has_errors()).then(|| Bindings { targets, people, digest, source: file.name.clone() })
    });
    Parsed { bindings, diagnostics: findings.into_sorted() }
}

fn people(entry: &Entry) -> (String, Vec<String>) {
    let named = entry.value.items().iter().filter_map(Node::text).map(str::to_owned);
    (entry.key.clone(), named.collect())
}

fn binding(entry: &Entry) -> Option<Binding> {
    let node = &entry.value;
    let kind = node.text_of("kind")?;
    let system = match kind {
        "postgres" => System::Postgres(postgres(node)?),
        "machine" => System::Machine(machine(node)),
        "notify" => System::Notify(notify(node)?),
        "endpoint" => System::Endpoint(endpoint(node)?),
        _ => return None,
    };
    let least = if kind == "notify" { Effect::Mutate } else { Effect::Read };
    Some(Binding { access: access(node).unwrap_or(least), system, line: entry.key_span.line })
}

fn access(node: &Node) -> Option<Effect> {
    Effect::from_access(node.text_of("access")?)
}

fn text(node: &Node, key: &str) -> Option<String> {
    node.text_of(key).map(str::to_owned)
}

fn secret(node: &Node, key: &str) -> Option<SecretRef> {
    SecretRef::try_from(text(node, key)?).ok()
}

fn postgres(node: &Node) -> Option<Postgres> {
    let port = match node.get("port").map(|node| &node.value) {
        Some(Yaml::Int(port)) => u16::try_from(*port).ok()?,
        _ => 5432,
    };
    let tls = match node.text_of("tls") {
        Some("disable") => Tls::Disable,
        _ => Tls::VerifyFull { root_cert: text(node, "root_cert") },
    };
    Some(Postgres {
        host: text(node, "host")?,
        port,
        database: text(node, "database")?,
        user: text(node, "user")?,
        password: secret(node, "password"),
        tls,
        system_identifier: text(node, "system_identifier"),
        archive_interval: node.text_of("archive_interval").and_then(|text| text.parse().ok()),
    })
}

fn machine(node: &Node) -> Machine {
    let entries = |key: &str| node.get(key).map(Node::entries).unwrap_or_default().iter();
    let mut programs = BTreeMap::new();
    if let Some(folder) = node.text_of("postgres_bin") {
        let folder = folder.trim_end_matches('/');
        programs.extend(
            POSTGRES_PROGRAMS.iter().map(|(name, effect)| {
                ((*name).to_owned(), Program { path: format!("{folder}/{name}"), effect: *effect })
            }),
        );
    }
    programs.extend(entries("programs").filter_map(|entry| {
        let (path, effect) = (text(&entry.value, "path")?, access(&entry.value)?);
        Some((entry.key.clone(), Program { path, effect }))
    }));
    Machine {
        via: node.get("via").and_then(via).unwrap_or(Via::Local),
        user: text(node, "user"),
        programs,
        folders: entries("folders")
            .filter_map(|entry| {
                let access = access(&entry.value).unwrap_or(Effect::Read);
                let restore_command = text(&entry.value, "restore_command");
                Some((entry.key.clone(), Folder { path: text(&entry.value, "path")?, access, restore_command }))
            })
            .collect(),
        ports: entries("ports")
            .filter_map(|entry| Some((entry.key.parse().ok()?, entry.value.text()?.to_owned())))
            .collect(),
        identity: text(node, "identity"),
    }
}

fn via(node: &Node) -> Option<Via> {
    if let Some(container) = node.get("container") {
        let engine = text(container, "engine").unwrap_or_else(|| "docker".to_owned());
        return Some(Via::Container { engine, name: text(container, "name")? });
    }
    Some(Via::Ssh { host: text(node.get("ssh")?, "host")? })
}

fn notify(node: &Node) -> Option<Notify> {
    let channel = match node.text_of("channel")? {
        "slack" => Channel::Slack,
        _ => Channel::Webhook,
    };
    let url = text(node, "url")?;
    let url = SecretRef::try_from(url.clone()).map_or(Url::Plain(url), Url::Secret);
    Some(Notify { channel, url, secret: secret(node, "secret") })
}

fn endpoint(node: &Node) -> Option<Endpoint> {
    if let Some(http) = node.get("http") {
        return Some(Endpoint::Http { url: text(http, "url")? });
    }
    let command = node.get("command")?;
    let words = |key: &str| {
        let items = command.get(key).map(Node::items).unwrap_or_default();
        items.iter().filter_map(Node::text).map(str::to_owned).collect::<Vec<_>>()
    };
    Some(Endpoint::Command { show: words("show"), switch: words("switch") })
}
