//! Takes bindings out of their YAML. What does not fit the grammar has been reported before and is passed over here.

use super::{BINDINGS, Binding, Bindings, TargetKind};
use crate::{
    action::Effect,
    diagnostic::{Diagnostic, Findings, SourceFile},
    digest::sha256,
    grammar::{Shape, check},
    name::RoleName,
    yaml::{self, Entry, Node},
};

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
    let kind = TargetKind::from_word(node.text_of("kind")?)?;
    let access = node.text_of("access").and_then(Effect::from_access).unwrap_or(kind.access());
    Some(Binding { access, system: kind.decode(node)?, line: entry.key_span.line })
}
