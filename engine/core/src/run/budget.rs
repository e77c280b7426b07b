//! What is left of the time that a recovery may take. Computed only here, so that all views show the same.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Run;
use crate::plan::Objectives;

/// From when the objective counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Since {
    /// Users noticed, as a person stated.
    Onset,
    /// The run started: nobody stated when users noticed, so the budget is too optimistic.
    Start,
}

/// The longest outage that is tolerated, and the instant from which it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How long.
    pub objective: SignedDuration,
    /// From when.
    pub from: Timestamp,
    /// What happened then.
    pub since: Since,
}

impl Budget {
    /// What is left at that instant; less than nothing where it is exceeded.
    pub fn left(&self, now: Timestamp) -> SignedDuration {
        self.objective.saturating_sub(now.duration_since(self.from))
    }
}

impl Run {
    /// The budget of the run as it is journalled; `None` before it has started, and where the runbook has no objective.
    pub fn budget(&self, objectives: &Objectives) -> Option<Budget> {
        let objective = objectives.rto?;
        let (started, _) = self.started.as_ref()?;
        let (from, since) = self.onset.map_or((*started, Since::Start), |onset| (onset, Since::Onset));
        Some(Budget { objective, from, since })
    }
}
