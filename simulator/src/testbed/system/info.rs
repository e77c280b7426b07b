//! What a drill was measured on, and what its runs leave there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How true a number is to the real system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fidelity {
    /// The real server did it.
    Real,
    /// An emulator did it.
    Emulated,
    /// A model says how long it would take.
    Modelled,
}

/// One system of a testbed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SystemInfo {
    /// The role it plays in the bindings.
    pub role: String,
    /// `postgres`, `standby`, `machine`, `switch`, `notify`.
    pub kind: String,
    /// Where it is placed; absent: in no region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Its version in its own words.
    pub version: String,
    /// How true its numbers are.
    pub fidelity: Fidelity,
    /// Where it comes from: which binaries, which image and how that came about.
    pub origin: String,
}

/// Something that lies in the folder in which copies are restored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkEntry {
    /// Its name.
    pub name: String,
    /// Whether it is a plain file, which no copy is.
    pub is_file: bool,
    /// Whether it is a small plain file that names one of the runs.
    pub names_run: bool,
}
