//! Who held a drill, when and where, and what the machine was doing.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::machine::{Load, Readiness};

/// When, where and for whom a drill was held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Before anything was set up.
    pub from: Timestamp,
    /// When its systems were torn down again. Controls are held after that.
    pub until: Timestamp,
    /// The name of the machine.
    pub host: String,
    /// The user of the operating system who asked for it, as approvals name people.
    pub by: String,
    /// The step of a runbook that held it, with its run; `null` where a person did.
    #[serde(default)]
    pub for_step: Option<String>,
}

/// Where the drill ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// Operating system and architecture.
    pub platform: String,
    /// Processors that this process may use.
    pub processors: usize,
    /// `sha256:…` of the bindings.
    pub bindings_digest: String,
    /// The plugins.
    pub plugins: Vec<PluginReport>,
    /// How busy the machine was; `null` in reports of earlier versions.
    #[serde(default)]
    pub host: Option<HostReport>,
}

/// How busy the machine was on which the drill was held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostReport {
    /// What it could do before the drill.
    pub before: Readiness,
    /// The load when the fault was injected.
    pub at_fault: Load,
    /// The load when everything had been read.
    pub at_end: Load,
}

/// A plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginReport {
    /// Its name.
    pub name: String,
    /// `sha256:…` of the component.
    pub digest: String,
}
