//! What the probes saw.

use lifeboat_present::drill::DrawnProbe;
use serde::{Deserialize, Serialize};

use crate::clock::At;

/// A kind of probe on the application's path. The order is that of the report's lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// A read over a kept connection.
    PooledRead,
    /// A write over a kept connection.
    PooledWrite,
    /// A read over a new connection.
    FreshRead,
    /// A write over a new connection.
    FreshWrite,
    /// A sample of rows has the content that the ledger expects.
    Content,
}

impl ProbeKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::PooledRead, Self::PooledWrite, Self::FreshRead, Self::FreshWrite, Self::Content];

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::PooledRead => "read, pooled connection",
            Self::PooledWrite => "write, pooled connection",
            Self::FreshRead => "read, fresh connection",
            Self::FreshWrite => "write, fresh connection",
            Self::Content => "content of sampled rows",
        }
    }
}

impl Probe {
    /// What the timeline shows of it, in the lane of its kind.
    pub fn drawn(&self) -> DrawnProbe {
        let lane = ProbeKind::ALL.iter().position(|kind| *kind == self.kind).unwrap_or_default();
        let seconds = |at: At| at.0 as f64 / 1e6;
        DrawnProbe { lane, started_s: seconds(self.started), ended_s: seconds(self.ended), ok: self.ok }
    }
}

/// One finished probe. What it saw was true at some instant between its start and its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Its kind.
    pub kind: ProbeKind,
    /// When it was sent.
    pub started: At,
    /// When it had its answer.
    pub ended: At,
    /// Whether the answer was right.
    pub ok: bool,
    /// What was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
