//! What a drill's numbers were measured on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the systems run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// PostgreSQL's own binaries on this machine, loopback addresses, temporary folders.
    Process,
    /// Containers of the local engine.
    Container,
}

impl Backend {
    /// The word for it on the command line and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Container => "container",
        }
    }
}

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

impl Fidelity {
    /// The word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Emulated => "emulated",
            Self::Modelled => "modelled",
        }
    }
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
