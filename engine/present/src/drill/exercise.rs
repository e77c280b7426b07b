//! Which drill file was held, what it exercises, and how often it has to be held.

pub use lifeboat_core::every::Every;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A drill file: what it is, and what it exercises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrillFile {
    /// `sha256:…` of the file.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
    /// How often it has to be held; `null` where it does not say.
    #[schemars(schema_with = "every_schema")]
    pub every: Option<Every>,
    /// What it exercises.
    pub exercises: Vec<Exercise>,
}

/// A system that is recovered from a fault, or watched while one lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exercise {
    /// The system: the one whose records are recovered, or the standby that is watched.
    pub system: String,
    /// Its kind.
    pub kind: String,
    /// The kind of fault.
    pub fault: String,
    /// The recovery, counted from 1; `null` where the system is only watched.
    pub episode: Option<usize>,
}

/// The schema of an [`Every`], or `null`.
pub(crate) fn every_schema(_: &mut SchemaGenerator) -> Schema {
    let words = Every::WORDS.map(serde_json::Value::from).into_iter().chain([serde_json::Value::Null]);
    json_schema!({ "enum": words.collect::<Vec<_>>() })
}
