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
    /// The current time; never before a time that was returned or journalled earlier.
    fn now(&mut self) -> Timestamp;

    /// Whether the engine was told to stop: nothing new may begin. Once true, it stays true.
    fn is_stopping(&mut self) -> bool;

    /// Waits until something happens. Dropping the future loses nothing. If the engine was told to stop, it returns the remaining
    /// answers of the calls in flight, and `Stopped` when all have ended.
    fn next(&mut self) -> impl Future<Output = Next> + Send;

    /// Makes what is in flight equal to what is due: starts what is missing, cancels what is surplus. Does nothing if the engine was
    /// told to stop.
    fn reconcile(&mut self, due: Vec<Effect>);

    /// Makes the events of one decision durable, in their order. Their effects have not begun, and the driver waits for the result.
    /// After an error the driver stops: a beginning of the events may be durable, and the next engine that loads the run finds out.
    fn append(&mut self, at: Timestamp, events: &[Event]) -> impl Future<Output = Result<Vec<Recorded>, Error>> + Send;

    /// Answers a request that cannot be carried out; nothing is recorded.
    fn refuse(&mut self, _refusal: Refusal, _run: &Run) {}

    /// Shows what happened, with the state after it.
    fn report(&mut self, report: Report, run: &Run);
}

/// What happens next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Something that may advance the run.
    Input(Timestamp, Input),
    /// A plugin said something.
    Note(StepNote),
    /// Nothing is in flight and nobody can be asked: nothing will ever happen.
    Quiet,
    /// The engine was told to stop, and everything that was in flight has ended.
    Stopped,
}
