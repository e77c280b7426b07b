//! CEL expressions inside `${{ }}`.

use serde::{Deserialize, Serialize};

/// A whole expression, kept as its source text and checked by `compile`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expression(String);

/// A YAML value whose strings may hold `${{ }}`: whole expressions keep their type, others are rendered into the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(serde_json::Value);
