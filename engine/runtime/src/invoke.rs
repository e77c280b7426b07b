//! How the engine gets an action done. The runtime knows no wasm; the host implements this.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use lifeboat_core::{
    event::Mode,
    failure::{Failure, Reason},
    input::{Call, Done, Observation},
    name::{RunId, StepId},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::holder::Holder;

/// A future that can be kept in a list with others.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Runs plugin calls.
pub trait Invoke: Send + Sync {
    /// Runs a call to its end. The future must resolve soon after `cancel` fires or the call's deadline passes; dropping it
    /// ends the call too. Whatever the plugin does (loops, traps, rubbish), the answer is a `Failure`, never a panic.
    fn invoke(&self, request: Request) -> Pending<Answer>;

    /// Takes the targets themselves for the run on which this engine works, so that engines with other state folders are kept away,
    /// where a target can hold that. Says which cannot; refuses where another run has one (`run-lease-held`). Asked once before the
    /// first call, and not for a dry-run. There is no default: every decorator in front of plugins must pass it on.
    fn hold(&self, holder: Holder) -> Pending<Result<Vec<Reason>, Reason>>;

    /// Releases what [`Invoke::hold`] took: the engine no longer works on the run.
    fn let_go(&self) -> Pending<()>;
}

/// The part of [`Invoke`] of something that has no targets which could be held.
#[macro_export]
macro_rules! holds_nothing {
    () => {
        fn hold(
            &self,
            _: $crate::holder::Holder,
        ) -> $crate::invoke::Pending<Result<Vec<lifeboat_core::failure::Reason>, lifeboat_core::failure::Reason>> {
            Box::pin(std::future::ready(Ok(Vec::new())))
        }

        fn let_go(&self) -> $crate::invoke::Pending<()> {
            Box::pin(std::future::ready(()))
        }
    };
}

/// One call with its surroundings.
#[derive(Clone)]
pub struct Request {
    /// The call: action, parameters, grants.
    pub call: Call,
    /// The run that it belongs to.
    pub run: RunId,
    /// Whether anything may be changed.
    pub mode: Mode,
    /// When the call is cut off. It moves while the run is paused.
    pub deadline: Deadline,
    /// Fires when the call should end.
    pub cancel: CancellationToken,
    /// Receives progress and log lines.
    pub notes: Arc<dyn Fn(Note) + Send + Sync>,
    /// Asked before each change outside of the engine.
    pub fence: Arc<dyn Fence>,
}

/// Tells whether a run still has its targets. The host asks before each change that it makes for a call, because the run may have
/// lost them meanwhile; it does not ask before it reads.
pub trait Fence: Send + Sync {
    /// Refuses with `run-lease-lost`. Blocks for some microseconds at most: it looks at the disk or only at the clock, depending on the
    /// store.
    fn check(&self) -> Result<(), Reason>;
}

/// The fence of a run without leases.
#[derive(Debug, Clone, Copy)]
pub struct Unfenced;

impl Fence for Unfenced {
    fn check(&self) -> Result<(), Reason> {
        Ok(())
    }
}

/// When a call is cut off; it can move while the call runs.
#[derive(Debug, Clone)]
pub struct Deadline {
    at: watch::Receiver<Option<Timestamp>>,
}

impl Deadline {
    /// A deadline that does not move.
    pub fn fixed(at: Option<Timestamp>) -> Self {
        Self { at: watch::channel(at).1 }
    }

    /// A deadline that the holder of the sender moves.
    pub(crate) fn moving(at: Option<Timestamp>) -> (watch::Sender<Option<Timestamp>>, Self) {
        let (sender, at) = watch::channel(at);
        (sender, Self { at })
    }

    /// The current deadline; `None` if the step has none, or the run is paused.
    pub fn at(&self) -> Option<Timestamp> {
        *self.at.borrow()
    }

    /// Resolves when the deadline has passed, wherever it is moved meanwhile; never while there is none.
    pub async fn passed(&self) {
        loop {
            let moved = self.moved();
            let left = self.at().map(|at| Duration::try_from(at.duration_since(Timestamp::now())));
            match left {
                Some(Ok(left)) if !left.is_zero() => tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    () = moved => {}
                },
                // Negative: it has passed.
                Some(_) => return,
                None => moved.await,
            }
        }
    }

    /// Resolves when the deadline is moved after this call; never if it cannot move.
    pub fn moved(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut at = self.at.clone();
        at.mark_unchanged();
        async move {
            if at.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The result of a call with purpose run, verify or undo.
    Ran(Result<Done, Failure>),
    /// The result of a call with purpose observe.
    Observed(Result<Observation, Failure>),
}

/// Something a plugin said while it ran. Shown and logged, never journalled.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// How much is done.
    Progress {
        /// Amount done so far, in `unit`.
        done: u64,
        /// Total amount, if known.
        total: Option<u64>,
        /// `rows`, `bytes`, …
        unit: String,
        /// What is being done.
        message: String,
    },
    /// A line of the log.
    Log {
        /// How important it is.
        level: Level,
        /// The line.
        message: String,
        /// Further details: names and values.
        fields: Vec<(String, String)>,
    },
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the author of the plugin.
    Debug,
    /// For everyone.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

/// A note with the step it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct StepNote {
    /// Id of the step.
    pub step: StepId,
    /// What it said.
    pub note: Note,
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[tokio::test]
    async fn a_deadline_passes_where_it_was_moved_to() {
        let (sender, deadline) = Deadline::moving(None);
        let passed = deadline.passed();
        tokio::pin!(passed);
        assert!(futures::poll!(&mut passed).is_pending(), "there is none");
        sender.send_replace(Some(Timestamp::now() + SignedDuration::from_hours(1)));
        assert!(futures::poll!(&mut passed).is_pending(), "it is far away");
        sender.send_replace(Some(Timestamp::UNIX_EPOCH));
        passed.await;
        Deadline::fixed(Some(Timestamp::UNIX_EPOCH)).passed().await;
    }
}
