//! Durations with their uncertainty, and the verdict over them.

use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// A duration in seconds that lies between two bounds. `high: None`: it has no upper bound (the recovery never ended).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// It is not less than this.
    pub low: f64,
    /// It is not more than this.
    pub high: Option<f64>,
}

impl Interval {
    /// Between these two; a negative bound becomes 0 and a crossed pair becomes a point, because durations are not negative.
    pub fn between(low: f64, high: f64) -> Self {
        let low = round(low.max(0.0));
        Self { low, high: Some(round(high.max(low))) }
    }

    /// At least this long.
    pub fn more_than(low: f64) -> Self {
        Self { low: round(low.max(0.0)), high: None }
    }

    /// Whether the duration can be that long.
    pub fn contains(&self, seconds: f64) -> bool {
        self.low <= seconds && self.high.is_none_or(|high| seconds <= high)
    }
}

/// To the microsecond, the resolution of the observer's clock.
fn round(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.high {
            None => write!(f, "> {:.1} s", self.low),
            Some(high) if high - self.low < 0.05 => write!(f, "{high:.1} s"),
            Some(high) => write!(f, "{:.1} to {high:.1} s", self.low),
        }
    }
}

/// What an objective came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The upper bound lies within the objective.
    Met,
    /// It does not.
    Missed,
    /// Nothing was measured, or there is no objective to hold it against. Never a pass.
    Unmeasured,
}

impl Verdict {
    /// The verdict over two parts: a miss outweighs what was not measured, which outweighs what was met.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Missed, _) | (_, Self::Missed) => Self::Missed,
            (Self::Unmeasured, _) | (_, Self::Unmeasured) => Self::Unmeasured,
            (Self::Met, Self::Met) => Self::Met,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Unmeasured => "unmeasured",
        })
    }
}

/// Holds a measurement against its objective, by the upper bound.
pub fn judge(measured: Option<Interval>, objective: Option<SignedDuration>) -> Verdict {
    match (measured, objective) {
        (None, _) | (_, None) => Verdict::Unmeasured,
        (Some(Interval { high: Some(high), .. }), Some(objective)) if high <= objective.as_secs_f64() => Verdict::Met,
        (Some(_), Some(_)) => Verdict::Missed,
    }
}
