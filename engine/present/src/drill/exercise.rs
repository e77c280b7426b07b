//! Which drill file was held, what it exercises, and how often it has to be held.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often a drill has to be held, as its file says. Nobody else says it: a drill whose file does not is never overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// The words for it in a drill file.
    pub const WORDS: [&'static str; 3] = ["monthly", "quarterly", "annually"];

    /// The word for it in a drill file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monthly => "monthly",
            Self::Quarterly => "quarterly",
            Self::Annually => "annually",
        }
    }

    /// After so many days without a holding it is overdue: the longest month and year; of a quarter 90, as plans count it.
    pub fn days(self) -> i64 {
        match self {
            Self::Monthly => 31,
            Self::Quarterly => 90,
            Self::Annually => 366,
        }
    }

    /// The same as a length of time.
    pub fn at_most(self) -> SignedDuration {
        SignedDuration::from_hours(self.days() * 24)
    }
}

/// A drill file: what it is, and what it exercises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrillFile {
    /// `sha256:…` of the file.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
    /// How often it has to be held; `null` where it does not say.
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
