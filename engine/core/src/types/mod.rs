//! The types of inputs, parameters and outputs, and their text form.
//!
//! The text form is what a plugin declares over the component boundary (WIT has no recursive types) and what
//! `lifeboat plugins` prints: `string`, `list<int>`, `target<postgres:write>`, `one_of{latest: bool, time: timestamp}`.

mod check;
mod parse;
mod print;

use serde::{Deserialize, Serialize};

use crate::effect::Effect;

pub use self::{check::Mismatch, parse::TypeError};
pub use crate::bindings::TargetKind;

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
