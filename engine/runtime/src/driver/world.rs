//! What the driver needs of the world around it: time, a journal, and effects that come back as inputs.

use std::future::Future;

use jiff::Timestamp;
use lifeboat_core::{
    event::Event,
    input::{Effect, Input},
    operator::Refusal,
    run::Run,
};

use crate::{Error, invoke::StepNote, journal::Recorded, report::Report};

/// The world of a run. The real one is tokio and the disk; a virtual one is a queue ordered by time and a seed.
pub trait World {
    /// The present, never before an instant that was given out or journalled earlier.
    fn now(&mut self) -> Timestamp;

    /// Whether the engine was told to stop: nothing new may begin. Once it is true it stays true.
    fn is_stopping(&mut self) -> bool;

    /// Waits until something happens. Dropping the future loses nothing. Where the engine was told to stop, it brings what
    /// the calls in flight still answer, and `Stopped` when all have ended.
    fn next(&mut self) -> impl Future<Output = Next> + Send;

    /// Makes what is in flight equal to what is due: starts what is missing, cancels what is surplus. Does nothing where the
    /// engine was told to stop.
    fn reconcile(&mut self, due: Vec<Effect>);

    /// Makes the events of one decision durable, all or none. Their effects have not begun, and the driver does nothing else until the
    /// answer is there. After an error it continues with nothing: whether they are durable is found out by who loads the run next.
    fn append(&mut self, at: Timestamp, events: &[Event]) -> impl Future<Output = Result<Vec<Recorded>, Error>> + Send;

    /// Tells who asked for something that it cannot be done; nothing is recorded.
    fn refuse(&mut self, _refusal: Refusal, _run: &Run) {}

    /// Shows what happened, with the state after it.
    fn report(&mut self, report: Report, run: &Run);
}

/// What happens next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Something that may move the run on.
    Input(Timestamp, Input),
    /// A plugin said something.
    Note(StepNote),
    /// Nothing is in flight and nobody can be asked: nothing will ever happen.
    Quiet,
    /// The engine was told to stop, and everything that was in flight has ended.
    Stopped,
}
