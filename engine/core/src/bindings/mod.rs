//! Bindings: which real system plays each role. Parsed here, used by the host. Credentials are references only.

mod decode;
mod grammar;
mod kind;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{action::Effect, name::RoleName};

pub(crate) use self::grammar::BINDINGS;
pub use self::{
    decode::{Parsed, parse},
    kind::*,
};
pub use crate::secret::{NotAReference, SecretRef};

/// A bindings file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bindings {
    /// Each role's system.
    pub targets: BTreeMap<RoleName, Binding>,
    /// The people of each role of an `approve`: login names, and `group:NAME` for groups of the operating system. Where it names
    /// nobody at all, everybody who can reach the run may answer.
    pub people: BTreeMap<String, Vec<String>>,
    /// `sha256:…` of the file's bytes.
    pub digest: String,
    /// Where it came from, for messages.
    pub source: String,
}

/// The system behind a role.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// The most that any runbook may do with it.
    pub access: Effect,
    /// The system.
    pub system: System,
    /// The line in the bindings file, counted from 1, for refusals.
    pub line: u32,
}

impl Bindings {
    /// What expressions may know of each role's system. A fact that the file does not give is not there.
    pub fn facts(&self) -> BTreeMap<RoleName, Value> {
        self.targets.iter().map(|(role, binding)| (role.clone(), binding.system.facts())).collect()
    }
}
