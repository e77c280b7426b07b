//! Leases for a time: a store behind a network cannot be asked before each change, so it gives a run its leases for a while, and
//! the engine that works for the run watches how long that is.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::failure::Reason;
use tokio::sync::watch;

use crate::invoke::Fence;

/// An instant on both clocks: the monotonic one stands still while the machine sleeps, and the one on the wall can be set back.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    monotonic: Instant,
    wall: Timestamp,
}

impl Moment {
    /// The present one.
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), wall: Timestamp::now() }
    }

    /// So much later; where a clock cannot show that, not later at all.
    fn after(self, time: Duration) -> Self {
        let wall = SignedDuration::try_from(time).ok().and_then(|time| self.wall.checked_add(time).ok());
        Self { monotonic: self.monotonic.checked_add(time).unwrap_or(self.monotonic), wall: wall.unwrap_or(self.wall) }
    }

    /// Whether it is that moment or a later one, on either clock.
    fn reaches(self, other: Self) -> bool {
        self.monotonic >= other.monotonic || self.wall >= other.wall
    }
}

/// The time for which a run has its leases, held by what renews them.
#[derive(Debug)]
pub struct Term(watch::Sender<Option<Moment>>);

/// The fence of a run that has its leases for a time. It looks at two clocks and at nothing else.
#[derive(Debug, Clone)]
pub struct TermFence(watch::Receiver<Option<Moment>>);

impl Term {
    /// Leases that last so long from the moment at which the store was asked for them.
    pub fn begin(asked: Moment, lasts: Duration) -> (Self, TermFence) {
        let (sender, receiver) = watch::channel(Some(asked.after(lasts)));
        (Self(sender), TermFence(receiver))
    }

    /// They were renewed. What counts is when the store was asked, not when it answered.
    pub fn renew(&self, asked: Moment, lasts: Duration) {
        self.0.send_if_modified(|until| {
            // What is lost is never had again.
            *until = until.map(|_| asked.after(lasts));
            until.is_some()
        });
    }

    /// They are lost.
    pub fn lose(&self) {
        self.0.send_replace(None);
    }
}

impl TermFence {
    fn check_at(&self, now: Moment) -> Result<(), Reason> {
        match *self.0.borrow() {
            Some(until) if !now.reaches(until) => Ok(()),
            Some(_) => Err(lost("the leases of this run expired and were not renewed")),
            None => Err(lost("the leases of this run belong to another holder")),
        }
    }
}

impl Fence for TermFence {
    fn check(&self) -> Result<(), Reason> {
        self.check_at(Moment::now())
    }
}

fn lost(why: &str) -> Reason {
    Reason::new("run-lease-lost", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[track_caller]
    fn refused(fence: &TermFence, now: Moment) -> String {
        let reason = fence.check_at(now).unwrap_err();
        assert_eq!(reason.code, "run-lease-lost");
        reason.message
    }

    #[test]
    fn leases_last_until_their_time_is_over_and_go_on_where_they_are_renewed() {
        let began = Moment::now();
        let (term, fence) = Term::begin(began, 3 * SECOND);
        assert_eq!(fence.check_at(began.after(2 * SECOND)), Ok(()));
        assert!(refused(&fence, began.after(3 * SECOND)).contains("not renewed"));
        term.renew(began.after(2 * SECOND), 3 * SECOND);
        assert_eq!(fence.check_at(began.after(4 * SECOND)), Ok(()));
        term.lose();
        term.renew(began.after(4 * SECOND), 3 * SECOND);
        assert!(refused(&fence, began.after(4 * SECOND)).contains("another holder"), "what is lost stays lost");
    }

    #[test]
    fn a_machine_that_slept_and_a_clock_that_was_set_back_keep_no_lease() {
        let began = Moment::now();
        let (_term, fence) = Term::begin(began, 3 * SECOND);
        let slept = Moment { wall: began.after(4 * SECOND).wall, ..began };
        let set_back = Moment { monotonic: began.after(4 * SECOND).monotonic, ..began };
        refused(&fence, slept);
        refused(&fence, set_back);
    }
}
