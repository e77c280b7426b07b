//! The types of inputs, parameters and outputs, and their text form.
//!
//! The text form is what a plugin declares over the component boundary (WIT has no recursive types) and what
//! `lifeboat plugins` prints: `string`, `list<int>`, `target<postgres:write>`, `one_of{latest: bool, time: timestamp}`.

mod check;
mod parse;
mod print;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::effect::Effect;

pub use self::{check::Mismatch, parse::TypeError};

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Type {
    /// Text.
    String,
    /// `true` or `false`.
    Bool,
    /// A signed 64-bit integer.
    Int,
    /// A 64-bit floating-point number.
    Float,
    /// An instant; in JSON an RFC 3339 string.
    Timestamp,
    /// A length of time; in JSON a string such as `5m` or `1h30m`.
    Duration,
    /// Any JSON value; nothing is known of it at compile time.
    Json,
    /// Values of one type.
    List(Box<Type>),
    /// Values of one type under names chosen by the author.
    Map(Box<Type>),
    /// The name of a target of that kind, which the action uses with that effect.
    Target {
        /// What kind of system.
        kind: TargetKind,
        /// What the action does with it.
        effect: Effect,
    },
    /// An object with exactly one of these keys.
    OneOf(Vec<(String, Type)>),
    /// An object with these keys; a key whose type is marked `?` may be left out.
    Record(Vec<RecordField>),
}

/// A key of a [`Type::Record`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordField {
    /// The key.
    pub name: String,
    /// The type of its value.
    pub ty: Type,
    /// Whether it must be there.
    pub required: bool,
}

/// The kinds of system a role can be played by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// A PostgreSQL server, reached over its protocol.
    Postgres,
    /// A place where programs run and files lie: this machine, a container, a host over SSH.
    Machine,
    /// A channel to people.
    Notify,
    /// The place where the application's traffic is directed.
    Endpoint,
}

impl TargetKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Postgres, Self::Machine, Self::Notify, Self::Endpoint];

    /// The word for it in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Machine => "machine",
            Self::Notify => "notify",
            Self::Endpoint => "endpoint",
        }
    }

    /// The kind that a YAML word means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
