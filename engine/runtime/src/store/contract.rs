//! What a store promises.

use std::{collections::BTreeMap, future::Future, io, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use lifeboat_core::{event::Event, name::RunId, operator::Command};

use super::{Arrived, Listed, Loaded, NewRun, Sent};
use crate::{
    Error,
    invoke::Fence,
    journal::Recorded,
    lease::{Claim, ListedLease, Loss},
};

/// Keeps runs. Several processes may use a store at the same time; each run has one owner at a time.
pub trait Store: Send + Sync + Sized {
    /// The journal of an owned run.
    type Log: Log;
    /// The leases of an owned run.
    type Leases: Leases;
    /// The place where other processes reach the owner.
    type Desk: Desk;

    /// Identifies this store to engines of other stores, for example by the path of its folder.
    fn name(&self) -> String;

    /// The folder on this machine that holds the log files of a run's steps.
    fn logs(&self, run: &RunId) -> PathBuf;

    /// Stores everything that a resumed run needs, durably, and makes this process the owner of the run. Until the first event is
    /// appended, no other command sees the run. If it is refused, nothing is left behind.
    ///
    /// # Errors
    /// `run-exists` if the run was already started, `run-locked` if another process owns it.
    fn create(&self, new: &NewRun) -> impl Future<Output = Result<Owned<Self>, Error>> + Send;

    /// Makes this process the owner of a run and loads it: from then on no other process appends to it.
    ///
    /// # Errors
    /// `run-locked` if another process owns it, and the errors of [`Store::load`].
    fn own(&self, run: &RunId) -> impl Future<Output = Result<(Loaded, Owned<Self>), Error>> + Send;

    /// Loads a run, owned or not, as its last finished append left it.
    ///
    /// # Errors
    /// `run-unknown`, `run-never-started`, `run-journal-damaged`, `run-journal-format`, `run-plan-changed`.
    fn load(&self, run: &RunId) -> impl Future<Output = Result<Loaded, Error>> + Send;

    /// Every run with an event, newest first, including those that cannot be loaded.
    fn list(&self) -> impl Future<Output = Result<Vec<Listed>, Error>> + Send;

    /// Sends a request to the owner of a run. It is carried out within `patience` or never: after that time the person may have
    /// found another way.
    fn tell(
        &self,
        run: &RunId,
        command: &Command,
        patience: Duration,
    ) -> impl Future<Output = Result<Sent, Error>> + Send;

    /// Every lease that was ever taken, by resource.
    fn leases(&self) -> impl Future<Output = Result<Vec<ListedLease>, Error>> + Send;

    /// Takes over the lease of a resource, or every lease of a run: all of them, or none if one is refused.
    ///
    /// # Errors
    /// `run-lease-held` while the owner of its run lives; `run-lease-elsewhere` if that cannot be seen and nobody confirms that it is
    /// dead; `run-lease-free` if no lease has that name.
    fn take_over(&self, name: &str, claim: &Claim) -> impl Future<Output = Result<Vec<Loss>, Error>> + Send;
}

/// A run that this process owns. Ownership ends when this is dropped or the process ends; the leases stay with the run.
#[derive(Debug)]
pub struct Owned<S: Store> {
    /// Its journal. Ownership ends when it is dropped.
    pub log: S::Log,
    /// Its leases, none of them taken yet.
    pub leases: S::Leases,
    /// The place where others reach its owner, not open yet.
    pub desk: S::Desk,
}

/// The journal of an owned run.
pub trait Log: Send {
    /// Appends the events of one decision, in their order, and returns when all of them are durable. After an error, or a crash, a
    /// beginning of them may be durable, from none to all, and nothing else: whoever reads takes each record that is whole. A form
    /// that appends in a transaction leaves all or none, which is more than is needed. The caller must not append again: the next
    /// owner finds out what is there, and continues behind it.
    ///
    /// # Errors
    /// `run-owner-lost` if this process is no longer the owner; nothing is appended, now or later.
    fn append(&mut self, at: Timestamp, events: &[Event]) -> impl Future<Output = Result<Vec<Recorded>, Error>> + Send;

    /// Removes the run, which must not have any event.
    fn discard(self) -> impl Future<Output = ()> + Send;
}

/// The leases of the resources with which a run was made; a dry-run has none.
pub trait Leases: Send {
    /// Takes all of them, each with a token higher than all before. If one is refused, those already taken stay with the run until it
    /// is over or is found never to have started.
    ///
    /// # Errors
    /// `run-lease-held`, `run-lease-unfinished`, or `run-lease-lost` if one was taken over from this run.
    fn take(&mut self) -> impl Future<Output = Result<Taken, Error>> + Send;

    /// Releases the taken leases: the run is over, or did not start. Leases that were taken over meanwhile are left alone.
    fn release(&mut self) -> impl Future<Output = ()> + Send;
}

/// Leases that an owner has.
#[derive(Clone)]
pub struct Taken {
    /// Asked before each change outside of the engine. The store decides how it knows: a folder looks at its files, a store behind a
    /// network gives [`crate::lease::Term`]s and watches a deadline.
    pub fence: Arc<dyn Fence>,
    /// The resources.
    pub resources: Vec<String>,
}

/// Receives the requests of others to a run.
pub type Deliver = Box<dyn Fn(Arrived) + Send + Sync>;

/// The place where others reach the owner of a run.
pub trait Desk: Send {
    /// Starts to accept requests, each of which goes to `deliver`. The store determines who sends a request; `people` names the groups
    /// that matter.
    fn open(
        &mut self,
        people: BTreeMap<String, Vec<String>>,
        deliver: Deliver,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Accepts no more requests. Earlier requests are still answered.
    fn close(&mut self);

    /// Waits, for a moment at most, until every request is answered.
    fn answered(&mut self) -> impl Future<Output = ()> + Send;
}
