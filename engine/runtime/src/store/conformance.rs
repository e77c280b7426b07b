//! What every form of a store has to show before it keeps runs: tried from outside, with nothing but the traits.
//!
//! A test of the form calls [`conforms`] and finds nothing. What only the form can do to itself (an owner that is cut off, a write
//! that is torn) it does through [`Form`].

mod leases;
mod records;
mod script;

use std::fmt;

use lifeboat_core::name::RunId;

use super::Store;
use crate::Error;

/// A form of the store, and what can happen to it.
pub trait Form: Sync {
    /// The store. A clone of one is the way of another engine to the same runs.
    type Store: Store + Clone;

    /// An empty one.
    fn make(&self) -> Self::Store;

    /// The owner of the run is cut off for so long that another engine may own the run, and does not notice.
    fn lapse(&self, store: &Self::Store, run: &RunId);

    /// A crash leaves the beginning of a record behind the last one. `false` where nothing of this form can be torn.
    fn tear(&self, store: &Self::Store, run: &RunId) -> bool;

    /// A crash cuts the last append of the run short: of what it wrote, so many bytes of the journal's lines were not durable. `false`
    /// where an append of this form is there as a whole or not at all, as in a transaction.
    fn cut(&self, store: &Self::Store, run: &RunId, bytes: usize) -> bool;
}

/// A promise that the form does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one: always the same words.
    pub promise: &'static str,
    /// What was seen instead.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.seen)
    }
}

/// What was seen of one promise.
type Seen = Result<(), String>;

/// Tries every promise, each on an empty store, and returns those that are not kept.
pub async fn conforms<F: Form>(form: &F) -> Vec<Violation> {
    let seen = [
        ("an append that returned is read", records::an_append_that_returned_is_read(form).await),
        ("records are in order and chained", records::records_are_in_order_and_chained(form).await),
        ("a run has one owner", records::a_run_has_one_owner(form).await),
        ("who lost a run appends nothing", records::who_lost_a_run_appends_nothing(form).await),
        ("what has begun is listed", records::what_has_begun_is_listed(form).await),
        ("a run is made once", records::a_run_is_made_once(form).await),
        ("a torn end is told and cut off", records::a_torn_end_is_told_and_cut_off(form).await),
        ("an append that was cut short leaves a beginning", records::an_append_that_was_cut_short(form).await),
        ("the owner hears what a run is told", records::the_owner_hears_what_a_run_is_told(form).await),
        ("a lease is one run's until it is given back", leases::a_lease_is_one_runs(form).await),
        ("a lease that was taken over is lost", leases::a_lease_that_was_taken_over_is_lost(form).await),
        ("tokens only grow", leases::tokens_only_grow(form).await),
    ];
    seen.into_iter().filter_map(|(promise, seen)| seen.err().map(|seen| Violation { promise, seen })).collect()
}

/// What should not have failed.
fn failed(error: Error) -> String {
    format!("it was refused with {}: {error}", error.code())
}

fn ensure(holds: bool, seen: impl FnOnce() -> String) -> Seen {
    if holds { Ok(()) } else { Err(seen()) }
}

/// It was refused, with one of these codes.
fn refused<T>(what: &str, result: Result<T, Error>, codes: &[&str]) -> Seen {
    match result {
        Ok(_) => Err(format!("{what} was not refused")),
        Err(error) if codes.contains(&error.code()) => Ok(()),
        Err(error) => Err(format!("{what} was refused with {}, not {}: {error}", error.code(), codes.join(" or "))),
    }
}
