//! How long a plugin has to say what became of an interrupted attempt.

use jiff::{SignedDuration, Timestamp};

/// When an observation that was asked at that instant is given up.
pub(crate) fn observation_deadline(asked: Timestamp) -> Timestamp {
    asked.checked_add(SignedDuration::from_mins(5)).unwrap_or(Timestamp::MAX)
}
