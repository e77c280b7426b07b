//! Reads YAML 1.2 into nodes. The parser's own limits are set low, since a runbook is written by hand.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{
    Location, Spanned,
    options::{AliasLimits, DuplicateKeyPolicy, MergeKeyPolicy, Options},
};

use super::{
    Entry, Node, Yaml,
    slips::{Slip, explain},
};
use crate::diagnostic::{Findings, Span};

/// Reads the file; `None` and one finding where that is impossible.
pub(crate) fn read(findings: &mut Findings<'_>) -> Option<Node> {
    let text = &findings.file.text;
    match serde_yaml::from_str_with_options::<Spanned<Raw>>(text, options()) {
        Ok(raw) => Some(node(raw, None)),
        Err(error) => {
            refuse(findings, &error);
            None
        }
    }
}

fn options() -> Options {
    let limits: AliasLimits = serde_yaml::alias_limits! {
        max_total_replayed_events: 20_000,
        max_replay_stack_depth: 8,
        max_alias_expansions_per_anchor: 1_000,
    };
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: 32,
            flow_nesting_limit: 32,
            max_nodes: 400_000,
            max_aliases: 1_000,
            max_anchors: 100,
            max_documents: 1,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        alias_limits: limits,
        strict_booleans: true,
        with_snippet: false,
    }
}

/// A value as the deserializer gives it, places still beside it.
enum Raw {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

struct RawVisitor;

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(i64::try_from(value).map_or_else(|_| Raw::Text(value.to_string()), Raw::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

fn node(raw: Spanned<Raw>, key: Option<Span>) -> Node {
    let own = span(&raw.referenced);
    match raw.value {
        Raw::Null => Node { value: Yaml::Null, span: key.unwrap_or(own) },
        Raw::Bool(yes) => Node { value: Yaml::Bool(yes), span: own },
        Raw::Int(int) => Node { value: Yaml::Int(int), span: own },
        Raw::Float(float) => Node { value: Yaml::Float(float), span: own },
        Raw::Text(text) => Node { value: Yaml::Text(text), span: own },
        Raw::List(items) => {
            let items = items.into_iter().map(|item| node(item, None)).collect();
            Node { value: Yaml::List(items), span: key.unwrap_or(own) }
        }
        Raw::Map(entries) => {
            let entries: Vec<Entry> = entries.into_iter().map(entry).collect();
            let first = entries.first().map(|entry| entry.key_span);
            Node { span: key.or(first).unwrap_or(own), value: Yaml::Map(entries) }
        }
    }
}

fn entry((key, value): (Spanned<String>, Spanned<Raw>)) -> Entry {
    let key_span = span(&key.referenced);
    Entry { key: key.value, key_span, value: node(value, Some(key_span)) }
}

fn span(location: &Location) -> Span {
    let short = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let place = location.span();
    let start = place.byte_offset().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    let length = place.byte_len().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    Span { start, end: start + length, line: short(location.line()), column: short(location.column()) }
}

fn refuse(findings: &mut Findings<'_>, error: &serde_yaml::Error) {
    let place = error.location().map(|location| span(&location)).unwrap_or_default();
    let Slip { code, span, message, label, help } = explain(findings.file, error, place);
    findings.add_with(code, span, message, label, help);
}
