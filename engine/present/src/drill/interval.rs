//! Durations with their uncertainty, and the verdicts over them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A duration in seconds that lies between two bounds. `high: None`: it has no upper bound (the recovery never ended).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// It is not less than this.
    #[schemars(range(min = 0))]
    pub low: f64,
    /// It is not more than this.
    #[schemars(range(min = 0))]
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

    /// Compares it with an objective in seconds. Both verdicts need proof: `met`, that it cannot have been longer; `missed`, that it cannot
    /// have been shorter.
    pub fn against(self, objective_s: f64) -> Verdict {
        match self.high {
            Some(high) if high <= objective_s => Verdict::Met,
            _ if self.low > objective_s => Verdict::Missed,
            _ => Verdict::Unmeasured,
        }
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

/// Below a second with two digits, so that a bound of 30 ms does not read as nothing.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |seconds: f64| match self.high.unwrap_or(self.low) {
            longest if longest < 1.0 => format!("{seconds:.2}"),
            _ => format!("{seconds:.1}"),
        };
        let low = text(self.low);
        match self.high.map(text) {
            None => write!(f, "> {low} s"),
            Some(high) if high == low => write!(f, "{high} s"),
            Some(high) if self.low == 0.0 => write!(f, "0 to {high} s"),
            Some(high) => write!(f, "{low} to {high} s"),
        }
    }
}

/// What an objective came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The upper bound lies within the objective.
    Met,
    /// The lower bound lies beyond it.
    Missed,
    /// The objective lies between the bounds, nothing was measured, or there is no objective. Never a pass and never a miss.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_as_people_read_them() {
        let check = |interval: Interval, expected: &str| assert_eq!(interval.to_string(), expected);
        check(Interval::between(0.0, 0.0), "0.00 s");
        check(Interval::between(0.0, 0.031), "0 to 0.03 s");
        check(Interval::between(0.209, 0.326), "0.21 to 0.33 s");
        check(Interval::between(3.4, 3.61), "3.4 to 3.6 s");
        check(Interval::between(3.41, 3.42), "3.4 s");
        check(Interval::more_than(61.23), "> 61.2 s");
    }
}
