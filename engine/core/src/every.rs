//! How often something has to be done.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// How often a drill has to be held, or a runbook executed, as its file says. Nobody else says it: what does not say it is never overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// Each month.
    Monthly,
    /// Each quarter.
    Quarterly,
    /// Each year.
    Annually,
}

impl Every {
    /// The words for it in YAML.
    pub const WORDS: [&'static str; 3] = ["monthly", "quarterly", "annually"];

    /// The word for it in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monthly => "monthly",
            Self::Quarterly => "quarterly",
            Self::Annually => "annually",
        }
    }

    /// After so many days without one it is overdue: the longest month and year; of a quarter 90, as plans count it.
    pub fn days(self) -> i64 {
        match self {
            Self::Monthly => 31,
            Self::Quarterly => 90,
            Self::Annually => 366,
        }
    }

    /// What a word in YAML means.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Monthly, Self::Quarterly, Self::Annually].into_iter().find(|every| every.as_str() == word)
    }

    /// The same as a length of time.
    pub fn at_most(self) -> SignedDuration {
        SignedDuration::from_hours(self.days() * 24)
    }
}
