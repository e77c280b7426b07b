//! The journal on disk: one JSON record a line, each with the hash of the record before it.

use jiff::Timestamp;
use lifeboat_core::event::Event;
use serde::{Deserialize, Serialize};

/// An event as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Counted from 1 without gaps.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// `sha256:…` of the line before (without its newline); of the first line, of the run's name.
    pub previous: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}
