//! Runbooks that recover nothing.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RunbookReport, StepReport};
use crate::drill::interval::Verdict;

/// A runbook that recovers nothing, and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoutineReport {
    /// The runbook that was executed.
    pub runbook: RunbookReport,
    /// The run of the engine.
    pub run: String,
    /// The kinds of fault that had struck and were not healed.
    pub faults: Vec<String>,
    /// The code with which it had to fail; `null`: it had to succeed.
    pub fails_with: Option<String>,
    /// How the run ended.
    pub outcome: String,
    /// Why, where it failed.
    pub failure: Option<String>,
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub until: Timestamp,
    /// Whether it ended as it had to.
    pub verdict: Verdict,
    /// The runbook's steps.
    pub steps: Vec<StepReport>,
}

impl RoutineReport {
    /// How it had to end, in words.
    pub fn wanted(&self) -> String {
        self.fails_with.as_ref().map_or_else(|| "success".to_owned(), |code| format!("failure with {code}"))
    }
}
