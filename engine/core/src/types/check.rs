//! Whether a JSON value is of a type, and whether a value of one type may stand where another is wanted.

use std::fmt::Display;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{RecordField, Type};
use crate::name::RoleName;

/// Where a value is not what its type says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct Mismatch {
    /// The way to the part that is wrong, as `checks[2].sql`; empty for the value itself.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl Mismatch {
    fn new(message: impl Into<String>) -> Self {
        Self { path: String::new(), message: message.into() }
    }

    fn below(mut self, step: impl Display) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{dot}{}", self.path);
        self
    }
}

impl Type {
    /// Whether the JSON value is of this type; the first part that is not is named.
    pub fn check(&self, value: &Value) -> Result<(), Mismatch> {
        let fits = match self {
            Self::Json => true,
            Self::String => value.is_string(),
            Self::Bool => value.is_boolean(),
            Self::Int => value.is_i64(),
            Self::Float => value.is_number(),
            Self::Timestamp => value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok()),
            Self::Duration => value.as_str().is_some_and(|text| text.parse::<SignedDuration>().is_ok()),
            Self::Target { .. } => value.as_str().is_some_and(|text| RoleName::new(text).is_ok()),
            Self::List(item) => return check_list(item, value),
            Self::Map(item) => return check_map(item, value),
            Self::OneOf(choices) => return check_one_of(choices, value),
            Self::Record(fields) => return check_record(fields, value),
        };
        if fits { Ok(()) } else { Err(Mismatch::new(format!("{} is not {}", brief(value), self.described()))) }
    }

    /// What a value of this type is, for messages.
    pub fn described(&self) -> String {
        match self {
            Self::String => "a string".to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Int => "a whole number".to_owned(),
            Self::Float => "a number".to_owned(),
            Self::Timestamp => "a timestamp such as `2026-11-21T03:50:00Z`".to_owned(),
            Self::Duration => "a duration such as `5m` or `1h30m`".to_owned(),
            Self::Json => "a value".to_owned(),
            Self::List(item) => format!("a list of {item}"),
            Self::Map(item) => format!("a mapping to {item}"),
            Self::Target { kind, .. } => format!("the name of a {kind} target"),
            Self::OneOf(choices) => {
                let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
                format!("a mapping with exactly one of {}", names.join(", "))
            }
            Self::Record(_) => format!("a {self}"),
        }
    }

    /// Whether a value of this type can stand where `wanted` is wanted, as far as the types tell: `json` may be anything.
    pub fn fits(&self, wanted: &Type) -> bool {
        match (self, wanted) {
            (Self::Json, _) | (_, Self::Json) | (Self::Int, Self::Float) => true,
            (Self::List(have), Self::List(want)) | (Self::Map(have), Self::Map(want)) => have.fits(want),
            (Self::Record(have), Self::Record(want)) => record_fits(have, want),
            (Self::Record(have), Self::Map(want)) => have.iter().all(|field| field.ty.fits(want)),
            (Self::OneOf(have), Self::OneOf(want)) => {
                have.iter().all(|(name, ty)| want.iter().any(|(other, wanted)| name == other && ty.fits(wanted)))
            }
            _ => self == wanted,
        }
    }

    /// The type of a key of a value of this type: `None` if there is no such key, `json` if it cannot be known.
    pub fn key(&self, name: &str) -> Option<&Type> {
        const ANY: &Type = &Type::Json;
        match self {
            Self::Json => Some(ANY),
            Self::Map(item) => Some(item),
            Self::Record(fields) => fields.iter().find(|field| field.name == name).map(|field| &field.ty),
            Self::OneOf(choices) => choices.iter().find(|(choice, _)| choice == name).map(|(_, ty)| ty),
            _ => None,
        }
    }
}

fn record_fits(have: &[RecordField], want: &[RecordField]) -> bool {
    let find = |name: &str| have.iter().find(|field| field.name == name);
    want.iter().all(|wanted| match find(&wanted.name) {
        Some(field) => field.ty.fits(&wanted.ty) && (field.required || !wanted.required),
        None => !wanted.required,
    }) && have.iter().all(|field| want.iter().any(|wanted| wanted.name == field.name))
}

fn check_list(item: &Type, value: &Value) -> Result<(), Mismatch> {
    let items = value.as_array().ok_or_else(|| Mismatch::new(format!("{} is not a list", brief(value))))?;
    items.iter().enumerate().try_for_each(|(index, value)| item.check(value).map_err(|m| m.below(format!("[{index}]"))))
}

fn object(value: &Value) -> Result<&Map<String, Value>, Mismatch> {
    value.as_object().ok_or_else(|| Mismatch::new(format!("{} is not a mapping", brief(value))))
}

fn check_map(item: &Type, value: &Value) -> Result<(), Mismatch> {
    object(value)?.iter().try_for_each(|(key, value)| item.check(value).map_err(|m| m.below(key)))
}

fn check_one_of(choices: &[(String, Type)], value: &Value) -> Result<(), Mismatch> {
    let wanted = || Mismatch::new(format!("expected {}", Type::OneOf(choices.to_vec()).described()));
    let mut entries = object(value)?.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else { return Err(wanted()) };
    let (_, ty) = choices.iter().find(|(name, _)| name == key).ok_or_else(wanted)?;
    ty.check(value).map_err(|mismatch| mismatch.below(key))
}

/// A key that may be left out may also be null: that is how most programs write an absent value.
fn check_record(fields: &[RecordField], value: &Value) -> Result<(), Mismatch> {
    let entries = object(value)?;
    for field in fields {
        match entries.get(&field.name) {
            None | Some(Value::Null) if !field.required => {}
            None => return Err(Mismatch::new(format!("the key `{}` is missing", field.name))),
            Some(value) => field.ty.check(value).map_err(|mismatch| mismatch.below(&field.name))?,
        }
    }
    match entries.keys().find(|key| !fields.iter().any(|field| field.name == **key)) {
        Some(key) => Err(Mismatch::new(format!("there is no key `{key}`"))),
        None => Ok(()),
    }
}

/// A value, short enough for a message.
fn brief(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        other => {
            let text = other.to_string();
            let short: String = text.chars().take(60).collect();
            if short.len() < text.len() { format!("`{short}…`") } else { format!("`{short}`") }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(ty: &str, value: Value) -> Result<(), String> {
        let ty: Type = ty.parse().expect(ty);
        ty.check(&value).map_err(|mismatch| mismatch.to_string())
    }

    #[test]
    fn values_of_the_type_pass() {
        for (ty, value) in [
            ("string", json!("x")),
            ("int", json!(-3)),
            ("float", json!(3)),
            ("timestamp", json!("2026-11-21T03:50:00.000001Z")),
            ("duration", json!("1h30m")),
            ("json", json!([1, null])),
            ("list<int>", json!([1, 2])),
            ("map<string>", json!({"a": "b"})),
            ("target<postgres:read>", json!("primary")),
            ("one_of{latest: bool, time: timestamp}", json!({"latest": true})),
            ("record{a: int, b?: int}", json!({"a": 1, "b": null})),
        ] {
            assert_eq!(check(ty, value), Ok(()), "{ty}");
        }
    }

    #[test]
    fn other_values_are_refused_with_the_path() {
        for (ty, value, message) in [
            ("string", json!(1), "`1` is not a string"),
            ("int", json!(1.5), "`1.5` is not a whole number"),
            ("int", json!(u64::MAX), "`18446744073709551615` is not a whole number"),
            ("duration", json!("soon"), "`\"soon\"` is not a duration such as `5m` or `1h30m`"),
            ("list<record{sql: string}>", json!([{"sql": "x"}, {"sql": 1}]), "[1].sql: `1` is not a string"),
            ("record{a: int}", json!({}), "the key `a` is missing"),
            ("record{a: int}", json!({"a": 1, "c": 1}), "there is no key `c`"),
            ("one_of{a: int, b: int}", json!({"a": 1, "b": 1}), "expected a mapping with exactly one of `a`, `b`"),
        ] {
            assert_eq!(check(ty, value), Err(message.to_owned()), "{ty}");
        }
    }
}
