//! How far an action goes with a target: the one scale that grants, types and access words share.

use serde::{Deserialize, Serialize};

/// How far an action may go with a target. Ordered: what may destroy may also change and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Looks and leaves everything as it was.
    Read,
    /// Changes something (a runbook writes `access: write`).
    Mutate,
    /// Removes something that cannot be had again from the target itself.
    Destroy,
}

impl Effect {
    /// The words for them in YAML.
    pub(crate) const WORDS: &[&str] = &["read", "write", "destroy"];

    /// The word for it in YAML and in the text form of a target type.
    pub fn access(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Mutate => "write",
            Self::Destroy => "destroy",
        }
    }

    /// The effect that a YAML word means.
    pub fn from_access(word: &str) -> Option<Self> {
        [Self::Read, Self::Mutate, Self::Destroy].into_iter().find(|effect| effect.access() == word)
    }
}
