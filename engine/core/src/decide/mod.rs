//! Policy: what follows from an input. Total, and the only place where anything is decided.
//!
//! A decision is a list of events, each legal after the ones before it. An input that means nothing in this state (the answer
//! of an older attempt, say) gives an empty list. After the input itself has been taken in, `settle` continues until nothing
//! more follows: that is why a journal which was cut off between two events of one decision needs no special treatment.

mod backoff;
mod begin;
mod draft;
mod dry_run;
mod failed;
mod fan_out;
mod handlers;
mod input;
mod interrupted;
mod operator;
mod settle;
mod undo;

use jiff::{SignedDuration, Timestamp};

pub(crate) use self::{
    draft::Draft, fan_out::wants_attention, operator::settles_in_a_pause, settle::has_room,
    undo::is_possible as undo_is_possible,
};
pub use self::{fan_out::ITEMS_MAX, operator::request, settle::CALLS_MAX};
use crate::{event::Event, input::Input, plan::Plan, run::Run};

/// Attempts of one step that a living engine may cut off, each found without effect, before the step has failed.
pub const CUT_OFF_MAX: u32 = 10;
/// How long a step that has no time of its own continues by itself where the engine ends during its attempts again and again.
pub const ENGINE_ENDED_MAX: SignedDuration = SignedDuration::from_hours(24);
/// Calls of a plugin's `observe` that may fail before an operator is asked.
pub const OBSERVATIONS_MAX: u32 = 4;
/// Attempts to take a step back, those not counted that the engine cut off.
pub const UNDO_ATTEMPTS_MAX: u32 = 3;

/// The events that follow from an input.
pub fn decide(plan: &Plan, run: &Run, input: &Input, now: Timestamp) -> Vec<Event> {
    advance(plan, &mut run.clone(), input, now)
}

/// As [`decide`], for a run on which no engine works: up to where something would begin, which happens when an engine continues the
/// run. Calls that were in flight when the last engine ended are found interrupted then, and do not run out of time before.
pub fn decide_unattended(plan: &Plan, run: &Run, input: &Input, now: Timestamp) -> Vec<Event> {
    let mut run = run.clone();
    let mut draft = Draft::new(plan, &mut run, now);
    draft.resuming = true;
    input::take(&mut draft, input);
    settle::settle(&mut draft);
    let mut events = draft.into_events();
    events.truncate(events.iter().position(Event::begins_something).unwrap_or(events.len()));
    events
}

/// As [`decide`], and applies the events to the run: what a driver wants, without the copy of the run.
pub fn advance(plan: &Plan, run: &mut Run, input: &Input, now: Timestamp) -> Vec<Event> {
    let mut draft = Draft::new(plan, run, now);
    draft.resuming = matches!(input, Input::Interrupted { .. });
    input::take(&mut draft, input);
    settle::settle(&mut draft);
    draft.into_events()
}
