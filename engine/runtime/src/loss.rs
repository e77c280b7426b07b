//! What a run has lost: a lease that was taken over from it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::holder::Holder;

/// That a lease was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeOver {
    /// Who had it.
    pub from: Holder,
    /// The user who took it.
    pub user: String,
    /// The machine on which that was done.
    pub host: String,
    /// The reason, as the person gave it.
    pub reason: String,
    /// Whether only the word of that user says that the holder is dead.
    pub holder_declared_dead: bool,
}

/// What a run has lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The target.
    pub resource: String,
    /// The time of the take-over.
    pub at: Timestamp,
    /// To whom, and why.
    pub take_over: TakeOver,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TakeOver { from, user, host, reason, .. } = &self.take_over;
        write!(
            f,
            "`{}` was taken over from the run `{}` by {user} on {host} at {:.0}: {reason}",
            self.resource, from.run, self.at
        )
    }
}
