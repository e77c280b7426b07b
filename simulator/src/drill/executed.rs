//! What the engine did in a recovery.

use lifeboat_core::{event::Outcome, run::Run};
use lifeboat_runtime::{
    error::Error,
    journal::Recorded,
    session::{Ended, How},
};

/// What the engine did.
pub(super) struct Executed {
    pub(super) ended: Result<Ended, Error>,
    pub(super) events: Vec<Recorded>,
    /// The run as the last event left it.
    pub(super) state: Run,
    /// The drill ended the run because its time limit had passed.
    pub(super) out_of_time: bool,
}

impl Executed {
    /// Whether the run succeeded, completely or with exceptions that it names.
    pub(super) fn is_success(&self) -> bool {
        const GOOD: [Outcome; 2] = [Outcome::Succeeded, Outcome::SucceededWithExceptions];
        self.ended.as_ref().is_ok_and(|ended| matches!(ended.how, How::Finished(how) if GOOD.contains(&how)))
    }
}
