//! A store whose calls go wrong, in front of any other: what a session makes of one that is slow, refuses, does what it is asked and loses
//! the answer, leaves a beginning of a decision, or has another owner by now. When that happens is a list, so that it can be played again.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use jiff::Timestamp;
use lifeboat_core::{event::Event, name::RunId, operator::Command};
use lifeboat_runtime::{
    Error,
    home::{Listed, Loaded},
    journal::Recorded,
    lease::{Claim, ListedLease, Loss},
    session::NewRun,
    store::{Leases, Log, Owned, Sent, Store, Taken},
};

/// A call of a store that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreCall {
    /// A run is made.
    Create,
    /// A run is owned and loaded.
    Own,
    /// A decision is appended.
    Append,
    /// The leases of a run are taken.
    Take,
    /// They are released.
    Release,
    /// A run without an event is removed.
    Discard,
}

/// What goes wrong with a call of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreTrouble {
    /// It takes long, before it takes effect and after that; everything else goes on meanwhile.
    Slow,
    /// It takes no effect.
    Refused,
    /// It takes effect, and nobody hears of it.
    Unanswered,
    /// Half of the events are appended, and nobody hears of it; what is no append is refused.
    CutShort,
    /// The owner was cut off, and another engine owns the run.
    SecondOwner,
}

/// What goes wrong, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strike {
    /// With which kind of call.
    pub call: StoreCall,
    /// The how manieth of that kind, counted from 1 and over all sessions.
    pub nth: u32,
    /// What.
    pub trouble: StoreTrouble,
}

/// A store in front of another one. A clone has the same troubles ahead.
#[derive(Debug, Clone)]
pub struct Troubled<S> {
    inner: S,
    /// The owner of the run is cut off, as in the conformance suite.
    lapse: fn(&S, &RunId),
    troubles: Arc<Mutex<Troubles>>,
}

#[derive(Debug, Default)]
struct Troubles {
    ahead: Vec<Strike>,
    calls: BTreeMap<StoreCall, u32>,
    struck: Vec<Strike>,
    appends_after_an_error: u32,
}

impl StoreCall {
    /// Every one.
    pub const ALL: [Self; 6] = [Self::Create, Self::Own, Self::Append, Self::Take, Self::Release, Self::Discard];
}

impl StoreTrouble {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Slow, Self::Refused, Self::Unanswered, Self::CutShort, Self::SecondOwner];
}

impl<S> Troubled<S> {
    /// A store in front of this one.
    pub fn new(inner: S, lapse: fn(&S, &RunId), ahead: Vec<Strike>) -> Self {
        Self { inner, lapse, troubles: Arc::new(Mutex::new(Troubles { ahead, ..Troubles::default() })) }
    }

    /// What went wrong so far.
    pub fn struck(&self) -> Vec<Strike> {
        self.troubles().struck.clone()
    }

    /// How many calls of this kind were made.
    pub fn calls(&self, call: StoreCall) -> u32 {
        self.troubles().calls.get(&call).copied().unwrap_or(0)
    }

    /// How often somebody appended whose append before had failed.
    pub fn appends_after_an_error(&self) -> u32 {
        self.troubles().appends_after_an_error
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong with the next call of this kind.
    fn strike(&self, call: StoreCall) -> Option<StoreTrouble> {
        let mut troubles = self.troubles();
        let nth = troubles.calls.entry(call).or_default();
        *nth += 1;
        let nth = *nth;
        let strike = troubles.ahead.iter().find(|strike| (strike.call, strike.nth) == (call, nth)).copied()?;
        troubles.struck.push(strike);
        Some(strike.trouble)
    }

    /// A call with an answer, and what goes wrong with it.
    async fn troubled<T: Send>(
        &self,
        trouble: Option<StoreTrouble>,
        call: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        match trouble {
            Some(StoreTrouble::Refused) => return Err(unreachable_store("it cannot be reached")),
            Some(StoreTrouble::Slow) => a_while().await,
            Some(StoreTrouble::Unanswered | StoreTrouble::CutShort | StoreTrouble::SecondOwner) | None => {}
        }
        let answer = call.await;
        match trouble {
            Some(StoreTrouble::Slow) => a_while().await,
            Some(StoreTrouble::Unanswered | StoreTrouble::CutShort) => {
                drop(answer?);
                return Err(unreachable_store("its answer was lost"));
            }
            Some(StoreTrouble::Refused | StoreTrouble::SecondOwner) | None => {}
        }
        answer
    }

    /// A call without an answer, and what goes wrong with it: whether it is made.
    async fn is_made(&self, trouble: Option<StoreTrouble>, run: &RunId) -> bool {
        match trouble {
            Some(StoreTrouble::Refused | StoreTrouble::CutShort) => return false,
            Some(StoreTrouble::SecondOwner) => (self.lapse)(&self.inner, run),
            Some(StoreTrouble::Slow) => a_while().await,
            Some(StoreTrouble::Unanswered) | None => {}
        }
        true
    }
}

fn unreachable_store(why: &str) -> Error {
    Error::Disk { path: "the store".into(), source: io::Error::other(why.to_owned()) }
}

/// So long that what is in flight can answer, and that somebody can tell the engine to stop.
async fn a_while() {
    let mut turns = 20;
    poll_fn(|context| {
        if turns == 0 {
            return Poll::Ready(());
        }
        turns -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<S: Store + Clone> Troubled<S> {
    fn owned(&self, run: &RunId, owned: Owned<S>) -> Owned<Self> {
        let Owned { log, leases, desk } = owned;
        Owned {
            log: TroubledLog { inner: log, store: self.clone(), run: run.clone(), has_failed: false },
            leases: TroubledLeases { inner: leases, store: self.clone(), run: run.clone() },
            desk,
        }
    }
}

impl<S: Store + Clone> Store for Troubled<S> {
    type Log = TroubledLog<S>;
    type Leases = TroubledLeases<S>;
    type Desk = S::Desk;

    fn name(&self) -> String {
        self.inner.name()
    }

    fn logs(&self, run: &RunId) -> PathBuf {
        self.inner.logs(run)
    }

    async fn create(&self, new: &NewRun) -> Result<Owned<Self>, Error> {
        let trouble = self.strike(StoreCall::Create);
        let owned = self.troubled(trouble, self.inner.create(new)).await?;
        Ok(self.owned(&new.run, owned))
    }

    async fn own(&self, run: &RunId) -> Result<(Loaded, Owned<Self>), Error> {
        let trouble = self.strike(StoreCall::Own);
        let (loaded, owned) = self.troubled(trouble, self.inner.own(run)).await?;
        Ok((loaded, self.owned(run, owned)))
    }

    async fn load(&self, run: &RunId) -> Result<Loaded, Error> {
        self.inner.load(run).await
    }

    async fn list(&self) -> Result<Vec<Listed>, Error> {
        self.inner.list().await
    }

    async fn tell(&self, run: &RunId, command: &Command, patience: Duration) -> Result<Sent, Error> {
        self.inner.tell(run, command, patience).await
    }

    async fn leases(&self) -> Result<Vec<ListedLease>, Error> {
        self.inner.leases().await
    }

    async fn take_over(&self, name: &str, claim: &Claim) -> Result<Vec<Loss>, Error> {
        self.inner.take_over(name, claim).await
    }
}

/// The journal of a run in a troubled store.
#[derive(Debug)]
pub struct TroubledLog<S: Store> {
    inner: S::Log,
    store: Troubled<S>,
    run: RunId,
    has_failed: bool,
}

impl<S: Store + Clone> TroubledLog<S> {
    async fn append_with(
        &mut self,
        trouble: Option<StoreTrouble>,
        at: Timestamp,
        events: &[Event],
    ) -> Result<Vec<Recorded>, Error> {
        let there = if trouble == Some(StoreTrouble::CutShort) { events.len() / 2 } else { events.len() };
        // The other engine has it as long as this one tries; of a run without an event there is nothing to own.
        let _other = if trouble == Some(StoreTrouble::SecondOwner) {
            (self.store.lapse)(&self.store.inner, &self.run);
            self.store.inner.own(&self.run).await.ok()
        } else {
            None
        };
        self.store.troubled(trouble, self.inner.append(at, &events[..there])).await
    }
}

impl<S: Store + Clone> Log for TroubledLog<S> {
    async fn append(&mut self, at: Timestamp, events: &[Event]) -> Result<Vec<Recorded>, Error> {
        if self.has_failed {
            self.store.troubles().appends_after_an_error += 1;
        }
        let trouble = self.store.strike(StoreCall::Append);
        let answer = self.append_with(trouble, at, events).await;
        self.has_failed |= answer.is_err();
        answer
    }

    async fn discard(self) {
        let trouble = self.store.strike(StoreCall::Discard);
        if self.store.is_made(trouble, &self.run).await {
            self.inner.discard().await;
        }
    }
}

/// The leases of a run in a troubled store.
#[derive(Debug)]
pub struct TroubledLeases<S: Store> {
    inner: S::Leases,
    store: Troubled<S>,
    run: RunId,
}

impl<S: Store + Clone> Leases for TroubledLeases<S> {
    async fn take(&mut self) -> Result<Taken, Error> {
        let trouble = self.store.strike(StoreCall::Take);
        if trouble == Some(StoreTrouble::SecondOwner) {
            (self.store.lapse)(&self.store.inner, &self.run);
        }
        self.store.troubled(trouble, self.inner.take()).await
    }

    async fn release(&mut self) {
        let trouble = self.store.strike(StoreCall::Release);
        if self.store.is_made(trouble, &self.run).await {
            self.inner.release().await;
        }
    }
}
