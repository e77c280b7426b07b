//! The one observer's clock: every instant of a drill is read from it, so that instants can be subtracted.
//!
//! Instants are monotonic; the wall time is derived from them and only shown.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Instant,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// An instant: microseconds since the clock was started. Negative before that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct At(pub i64);

impl At {
    /// The instant this many seconds after the start of the clock.
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds * 1e6) as i64)
    }

    /// Seconds since `earlier`; negative if this instant is before it.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / 1e6
    }
}

impl Add<SignedDuration> for At {
    type Output = Self;
    fn add(self, duration: SignedDuration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Sub<SignedDuration> for At {
    type Output = Self;
    fn sub(self, duration: SignedDuration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:.3} s", self.0 as f64 / 1e6)
    }
}

/// A monotonic clock that knows which wall time it was started at.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    wall: Timestamp,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { origin: Instant::now(), wall: Timestamp::now() }
    }

    /// The present instant.
    pub fn now(&self) -> At {
        At(i64::try_from(self.origin.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    /// The wall time of an instant, to the microsecond.
    pub fn wall(&self, at: At) -> Timestamp {
        self.wall.saturating_add(SignedDuration::from_micros(at.0)).unwrap_or(self.wall)
    }

    /// The instant of a wall time that the engine wrote: correct unless the machine's clock is set during the drill.
    pub fn at(&self, wall: Timestamp) -> At {
        At(i64::try_from(wall.duration_since(self.wall).as_micros()).unwrap_or(i64::MAX))
    }

    /// The same instant for `tokio::time::sleep_until`.
    pub fn deadline(&self, at: At) -> tokio::time::Instant {
        let after = std::time::Duration::from_micros(u64::try_from(at.0).unwrap_or(0));
        tokio::time::Instant::from_std(self.origin + after)
    }
}
