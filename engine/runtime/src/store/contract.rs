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

/// Keeps runs. Several processes may use one store at once; each run has one owner at a time.
pub trait Store: Send + Sync + Sized {
    /// Where the events of an owned run go.
    type Log: Log;
    /// The leases of an owned run.
    type Leases: Leases;
    /// Where others reach the owner.
    type Desk: Desk;

    /// What tells this store from others where engines of several stores meet: the path of the folder, say.
    fn name(&self) -> String;

    /// The folder on this machine in which the steps of a run leave what their plugins said.
    fn logs(&self, run: &RunId) -> PathBuf;

    /// Keeps everything that a resumed run needs, durably, and makes this process the owner of the run. Until the first event is
    /// appended no other command knows the run. Where it is refused, nothing is left behind.
    ///
    /// # Errors
    /// `run-exists` where the run has begun before, `run-locked` where another process has it.
    fn create(&self, new: &NewRun) -> impl Future<Output = Result<Owned<Self>, Error>> + Send;

    /// Makes this process the owner of a run and loads it: from then on no other process appends to it.
    ///
    /// # Errors
    /// `run-locked` where another process owns it, and those of [`Store::load`].
    fn own(&self, run: &RunId) -> impl Future<Output = Result<(Loaded, Owned<Self>), Error>> + Send;

    /// Loads a run, owned or not, as its last finished append left it.
    ///
    /// # Errors
    /// `run-unknown`, `run-never-started`, and what says that the journal or the plan cannot be trusted.
    fn load(&self, run: &RunId) -> impl Future<Output = Result<Loaded, Error>> + Send;

    /// Every run with an event, the newest first, also those that cannot be loaded.
    fn list(&self) -> impl Future<Output = Result<Vec<Listed>, Error>> + Send;

    /// Asks the owner of a run for something. It is done within the patience or never: whoever asked has gone by then, and may have
    /// found another way.
    fn tell(
        &self,
        run: &RunId,
        command: &Command,
        patience: Duration,
    ) -> impl Future<Output = Result<Sent, Error>> + Send;

    /// Every lease that was ever taken, by resource.
    fn leases(&self) -> impl Future<Output = Result<Vec<ListedLease>, Error>> + Send;

    /// Takes over the lease of a resource, or every lease of a run; all of them, or none where one is refused.
    ///
    /// # Errors
    /// `run-lease-held` while the owner of its run lives, `run-lease-elsewhere` where that cannot be seen and nobody vouches for it,
    /// `run-lease-free` where no lease is meant by the name.
    fn take_over(&self, name: &str, claim: &Claim) -> impl Future<Output = Result<Vec<Loss>, Error>> + Send;
}

/// A run that this process owns. It is given up when this is dropped, or the process ends; its leases stay with the run.
#[derive(Debug)]
pub struct Owned<S: Store> {
    /// Where its events go. Owning ends with it.
    pub log: S::Log,
    /// Its leases, none of which is taken yet.
    pub leases: S::Leases,
    /// Where others reach its owner, closed so far.
    pub desk: S::Desk,
}

/// The journal of an owned run.
pub trait Log: Send {
    /// Appends the events of one decision, all or none, and returns when they are durable. An error may hide that they are: whoever
    /// gets one appends no more, and the next owner finds out.
    ///
    /// # Errors
    /// `run-owner-lost` where this process is not the owner any more; nothing is appended then, now or later.
    fn append(&mut self, at: Timestamp, events: &[Event]) -> impl Future<Output = Result<Vec<Recorded>, Error>> + Send;

    /// Removes the run, of which no event was appended.
    fn discard(self) -> impl Future<Output = ()> + Send;
}

/// The leases of the resources with which a run was made; a dry-run has none.
pub trait Leases: Send {
    /// Takes all of them, each with a token higher than all before. Where one is refused, those that were taken stay with the run
    /// until it is over or is found never to have begun.
    ///
    /// # Errors
    /// `run-lease-held`, `run-lease-unfinished`, or `run-lease-lost` where one was taken over from this very run.
    fn take(&mut self) -> impl Future<Output = Result<Taken, Error>> + Send;

    /// Gives back those that were taken: the run is over, or did not begin. What was taken over meanwhile is left alone.
    fn release(&mut self) -> impl Future<Output = ()> + Send;
}

/// Leases that an owner has.
#[derive(Clone)]
pub struct Taken {
    /// Asked before each change of something outside. How it knows is the store's choice: a folder looks at the files, a store behind
    /// a network gives [`crate::lease::Term`]s and lets a deadline be watched.
    pub fence: Arc<dyn Fence>,
    /// The resources.
    pub resources: Vec<String>,
}

/// Takes what others want of a run.
pub type Deliver = Box<dyn Fn(Arrived) + Send + Sync>;

/// Where others reach the owner of a run.
pub trait Desk: Send {
    /// Lets others in. Who they are is what the store can prove, and their groups are those that the people of the run name. Each
    /// request goes to `deliver`.
    fn open(
        &mut self,
        people: BTreeMap<String, Vec<String>>,
        deliver: Deliver,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Lets nobody in any more. What was asked before is still answered.
    fn close(&mut self);

    /// Waits, for a moment at most, until everybody has the answer to what they asked.
    fn answered(&mut self) -> impl Future<Output = ()> + Send;
}
