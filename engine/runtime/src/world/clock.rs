//! The clock of a run: the wall clock, which never goes back.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp, Unit};

/// A wall clock that was set back continues from where it was, at the speed of the monotonic one; one that was set forward, or
/// slept with the machine, is followed.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    last: Timestamp,
    seen: Instant,
}

/// A timer looks at the wall clock at least this often: the monotonic clock stands still while a machine sleeps.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Clock {
    /// A clock that never shows an instant before `earliest`.
    pub(crate) fn not_before(earliest: Option<Timestamp>) -> Self {
        let wall = microseconds(Timestamp::now());
        let last = earliest.map_or(wall, |earliest| shown(earliest, SignedDuration::ZERO, wall));
        Self { last, seen: Instant::now() }
    }

    /// The present, in whole microseconds.
    pub(crate) fn now(&mut self) -> Timestamp {
        let seen = Instant::now();
        let elapsed = SignedDuration::try_from(seen - self.seen).unwrap_or_default();
        self.last = shown(self.last, elapsed, Timestamp::now());
        self.seen = seen;
        microseconds(self.last)
    }

    /// Returns when the clock shows that instant or a later one.
    pub(crate) async fn reach(&mut self, instant: Timestamp) {
        loop {
            let left = instant.duration_since(self.now());
            match Duration::try_from(left) {
                Ok(left) if !left.is_zero() => tokio::time::sleep(left.min(LOOK_EVERY)).await,
                _ => return,
            }
        }
    }
}

/// What the clock of a run shows where it showed `last`, or the journal ends then, the monotonic clock has gone on by `elapsed`,
/// and the wall clock shows `wall`. It never goes back.
pub fn shown(last: Timestamp, elapsed: SignedDuration, wall: Timestamp) -> Timestamp {
    last.checked_add(elapsed).unwrap_or(last).max(wall)
}

/// Everything that Lifeboat writes down has microseconds, as PostgreSQL has.
fn microseconds(instant: Timestamp) -> Timestamp {
    let trunc = jiff::TimestampRound::new().smallest(Unit::Microsecond).mode(jiff::RoundMode::Trunc);
    instant.round(trunc).unwrap_or(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_never_shows_less_than_it_did() {
        let tomorrow = Timestamp::now() + SignedDuration::from_hours(24);
        let mut clock = Clock::not_before(Some(tomorrow));
        let first = clock.now();
        assert!(first >= microseconds(tomorrow), "the wall clock is behind the journal");
        assert!(clock.now() >= first);
        assert_eq!(first.subsec_nanosecond() % 1000, 0);
    }

    #[test]
    fn a_wall_clock_that_is_set_is_followed_forward_and_never_back() {
        let at = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let mut last = at(1_000);
        for (elapsed_s, wall_s, shown_s) in [
            (5, 1_005, 1_005),
            // Set back by ten minutes: it goes on as the monotonic clock does.
            (5, 410, 1_010),
            (5, 415, 1_015),
            // Set forward by an hour, and back to what is right.
            (5, 4_620, 4_620),
            (5, 1_025, 4_625),
            (3_605, 4_630, 8_230),
        ] {
            last = shown(last, SignedDuration::from_secs(elapsed_s), at(wall_s));
            assert_eq!(last, at(shown_s));
        }
    }

    #[tokio::test]
    async fn an_instant_that_has_passed_is_reached_at_once() {
        let mut clock = Clock::not_before(None);
        let now = clock.now();
        clock.reach(now - SignedDuration::from_secs(1)).await;
    }
}
