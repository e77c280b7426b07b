//! CEL expressions inside `${{ }}`: found in text, checked while compiling, evaluated when a step starts.
//!
//! Everything is bounded: the length of an expression, its nesting, what it may look at and what it may give back, so that
//! neither an author nor an output of a plugin can make the engine hang or eat memory.

mod analysis;
mod operands;
mod operators;
pub(crate) mod order;
mod scan;
#[cfg(test)]
mod tests;
pub(crate) mod value;
pub(crate) mod words;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::{
    analysis::{Analysis, FUNCTIONS, Reference, analyse},
    operands::{Misfit, check as check_operands},
    scan::{Part, parts},
};

/// Longer expressions are refused.
pub const LENGTH_MAX: usize = 4096;
/// What an expression may give back, in bytes of JSON, roughly.
pub const RESULT_BYTES_MAX: usize = 1 << 20;

/// An expression that cannot be read or has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// What is wrong, for people.
    pub message: String,
    /// Where in the expression's text, in bytes, where that is known.
    pub at: Option<(usize, usize)>,
}

impl ExpressionError {
    /// An error without a place.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), at: None }
    }
}

/// A whole expression, kept as its source text and checked by `compile`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expression(String);

impl Expression {
    /// An expression from its CEL text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The CEL text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A YAML value whose strings may hold `${{ }}`: whole expressions keep their type, others are rendered into the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(Value);

impl Template {
    /// A template from a value whose strings may hold `${{ }}`.
    pub fn new(value: impl Into<Value>) -> Self {
        Self(value.into())
    }

    /// The value as the author wrote it.
    pub fn as_value(&self) -> &Value {
        &self.0
    }
}
