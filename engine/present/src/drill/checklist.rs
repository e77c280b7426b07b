//! The check list that a drill is held for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What can show a point beside checks and steps. `this-report`: that there is one.
pub const MEASURES: [&str; 4] = ["rto", "rpo", "residual-damage", "this-report"];

/// A check list as a drill file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checklist {
    /// Whose list it is.
    pub source: String,
    /// Its points, in its order.
    pub points: Vec<ChecklistPoint>,
}

/// A point of a check list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChecklistPoint {
    /// Its words.
    pub point: String,
    /// Checks, steps of the runbooks and measures, all of which must show it; empty: nothing in the drill does.
    pub shown_by: Vec<String>,
}
