//! A store in memory: the form of `lifeboat_runtime::store` that needs no disk. A run belongs to whoever owned it last, which each append
//! and each look of a fence compares: so an engine that was cut off, and does not know, can do nothing.
//!
//! It is gone with its process, and so it is for tests: of what calls a store, and of the promises themselves. Its fences look at its
//! records, as those of a folder do, or only at a deadline, as those of a store behind a network do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use lifeboat_core::{
    event::{Event, Mode},
    failure::Reason,
    name::RunId,
    operator::{Command, Request},
    plan::Plan,
    run::Phase,
};
use lifeboat_runtime::{
    Error,
    driver::fold,
    holder::Holder,
    home::{Listed, Loaded},
    identity::{groups, this_person},
    invoke::Fence,
    journal::Recorded,
    lease::{Claim, Fate, ListedLease, Loss, Moment, Record, Records, Term, TermFence},
    session::NewRun,
    store::{Arrived, Deliver, Desk, Leases, Log, Owned, Sent, Store, Taken},
};

use super::shelf::{Owner, Refused, Shelf};

/// Runs and leases in memory. A clone is another way to the same ones.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    runs: Runs,
    leases: BTreeMap<String, Records>,
    /// How long a run has its leases before they expire, where they do.
    lasts: Option<Duration>,
}

#[derive(Debug, Default)]
struct Runs(BTreeMap<RunId, KeptRun>);

struct KeptRun {
    plan: Plan,
    runbook_source: Vec<u8>,
    bindings_source: Vec<u8>,
    resources: Vec<String>,
    shelf: Shelf,
    /// Who owns it, and who that is.
    owner: Option<(Owner, Holder)>,
    people: BTreeMap<String, Vec<String>>,
    deliver: Option<Arc<Deliver>>,
    /// The time for which it has its leases.
    term: Option<Arc<Term>>,
}

impl fmt::Debug for KeptRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptRun").field("shelf", &self.shelf).field("owner", &self.owner).finish_non_exhaustive()
    }
}

const NAME: &str = "memory";

impl MemoryStore {
    /// An empty one that gives leases for so long, as a store behind a network does.
    pub fn with_terms(lasts: Duration) -> Self {
        let store = Self::default();
        store.kept().lasts = Some(lasts);
        store
    }

    /// The owner of the run is cut off: another engine may own it from now on, and this one appends no more. Nothing renewed its leases.
    pub fn lapse(&self, run: &RunId) {
        if let Some(kept) = self.kept().runs.0.get_mut(run) {
            kept.give_up();
            kept.shelf.lapse();
            if let Some(term) = &kept.term {
                term.renew(Moment::now(), Duration::ZERO);
            }
        }
    }

    /// The bytes of the journal of a run; none where the run is not kept.
    pub fn journal(&self, run: &RunId) -> Vec<u8> {
        let kept = self.kept();
        kept.runs.get(run).map_or_else(|_| Vec::new(), |kept| kept.shelf.journal().medium().bytes().to_vec())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owned(&self, run: &RunId, owner: Owner) -> Owned<Self> {
        let grip = || Grip { store: self.clone(), run: run.clone(), owner };
        Owned {
            log: MemoryLog(grip()),
            leases: MemoryLeases { grip: grip(), taken: Vec::new(), term: None },
            desk: MemoryDesk(grip()),
        }
    }
}

impl Runs {
    fn get(&self, run: &RunId) -> Result<&KeptRun, Error> {
        self.0.get(run).ok_or_else(|| Error::Unknown { name: run.to_string() })
    }

    fn get_mut(&mut self, run: &RunId) -> Result<&mut KeptRun, Error> {
        self.0.get_mut(run).ok_or_else(|| Error::Unknown { name: run.to_string() })
    }

    /// What has become of a run that is named in a lease.
    fn fate(&self, run: &RunId) -> Fate {
        let Ok(kept) = self.get(run) else { return Fate::Over };
        if let Some((_, holder)) = &kept.owner {
            return Fate::Live(holder.clone());
        }
        match kept.load(run) {
            Ok(loaded) if matches!(loaded.run.phase, Phase::Finished { .. }) => Fate::Over,
            Err(Error::NeverStarted { .. }) => Fate::Over,
            Ok(_) | Err(_) => Fate::Unfinished,
        }
    }
}

impl KeptRun {
    fn is_owned(&self, run: &RunId) -> Result<(), Error> {
        match &self.owner {
            Some((_, holder)) => Err(Error::Locked { run: run.clone(), holder: Box::new(holder.clone()) }),
            None => Ok(()),
        }
    }

    /// Makes this process its owner.
    fn own(&mut self, run: &RunId) -> Result<Owner, Error> {
        let (owner, _) = self.shelf.own().map_err(|damage| Error::Journal { path: NAME.into(), damage })?;
        self.owner = Some((owner, Holder::this_process(run)));
        Ok(owner)
    }

    fn give_up(&mut self) {
        (self.owner, self.deliver) = (None, None);
    }

    /// The fence of an engine that has just taken the leases, where they are for a time. The engine before has them no more.
    fn begin_term(&mut self, asked: Moment, lasts: Duration) -> (Arc<Term>, TermFence) {
        let (term, fence) = Term::begin(asked, lasts);
        let term = Arc::new(term);
        if let Some(before) = self.term.replace(term.clone()) {
            before.lose();
        }
        (term, fence)
    }

    fn load(&self, run: &RunId) -> Result<Loaded, Error> {
        let damaged = |damage| Error::Journal { path: NAME.into(), damage };
        let contents = self.shelf.contents().map_err(damaged)?;
        if contents.records.is_empty() {
            return Err(Error::NeverStarted { run: run.clone() });
        }
        Ok(Loaded {
            run: fold(&self.plan, &contents.records).map_err(damaged)?,
            plan: self.plan.clone(),
            events: contents.records,
            bindings_source: self.bindings_source.clone(),
            runbook_source: self.runbook_source.clone(),
            end: contents.end,
            torn_bytes: contents.torn_bytes,
        })
    }
}

impl Store for MemoryStore {
    type Log = MemoryLog;
    type Leases = MemoryLeases;
    type Desk = MemoryDesk;

    fn name(&self) -> String {
        NAME.to_owned()
    }

    fn logs(&self, run: &RunId) -> PathBuf {
        std::env::temp_dir().join(run.as_str())
    }

    async fn create(&self, new: &NewRun) -> Result<Owned<Self>, Error> {
        let mut kept = self.kept();
        if let Ok(before) = kept.runs.get(&new.run) {
            before.is_owned(&new.run)?;
            if !matches!(before.load(&new.run), Err(Error::NeverStarted { .. })) {
                return Err(Error::Exists { run: new.run.clone() });
            }
        }
        let mut made = KeptRun {
            plan: new.plan.clone(),
            runbook_source: new.runbook_source.clone(),
            bindings_source: new.bindings_source.clone(),
            resources: if new.mode == Mode::Real { new.leases.clone() } else { Vec::new() },
            shelf: Shelf::new(new.run.clone()),
            owner: None,
            people: BTreeMap::new(),
            deliver: None,
            term: None,
        };
        let owner = made.own(&new.run)?;
        kept.runs.0.insert(new.run.clone(), made);
        Ok(self.owned(&new.run, owner))
    }

    async fn own(&self, run: &RunId) -> Result<(Loaded, Owned<Self>), Error> {
        let mut kept = self.kept();
        let found = kept.runs.get_mut(run)?;
        found.is_owned(run)?;
        let loaded = found.load(run)?;
        let owner = found.own(run)?;
        Ok((loaded, self.owned(run, owner)))
    }

    async fn load(&self, run: &RunId) -> Result<Loaded, Error> {
        self.kept().runs.get(run)?.load(run)
    }

    async fn list(&self) -> Result<Vec<Listed>, Error> {
        let kept = self.kept();
        let mut runs = Vec::new();
        for (run, found) in &kept.runs.0 {
            let loaded = match found.load(run) {
                Err(Error::NeverStarted { .. }) => continue,
                loaded => loaded?,
            };
            let engine = found.owner.as_ref().map(|(_, holder)| holder.clone());
            let lost = found.resources.iter().find_map(|resource| kept.leases.get(resource)?.loss(run));
            runs.push(Listed::of(run, &loaded, engine, lost));
        }
        runs.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| b.run.cmp(&a.run)));
        Ok(runs)
    }

    async fn tell(&self, run: &RunId, command: &Command, _patience: Duration) -> Result<Sent, Error> {
        let (deliver, people) = {
            let kept = self.kept();
            let found = kept.runs.get(run)?;
            (found.deliver.clone(), found.people.clone())
        };
        let Some(deliver) = deliver else { return Ok(Sent::Nobody) };
        let who = this_person();
        let groups: BTreeSet<String> = groups(&people, &who);
        let (arrived, asked) = Arrived::new(Request { who, groups, command: command.clone() }, None);
        deliver(arrived);
        Ok(Sent::Answered(asked.answered().await))
    }

    async fn leases(&self) -> Result<Vec<ListedLease>, Error> {
        let kept = self.kept();
        Ok(kept.leases.values().filter_map(|records| records.listed(|run| kept.runs.fate(run))).collect())
    }

    async fn take_over(&self, name: &str, claim: &Claim) -> Result<Vec<Loss>, Error> {
        let mut kept = self.kept();
        let Kept { runs, leases, .. } = &mut *kept;
        let is_meant = |resource: &str, records: &Records| {
            let holder = records.listed(|run| runs.fate(run)).and_then(|listed| listed.state.holder().cloned());
            resource == name || holder.is_some_and(|holder| holder.run.as_str() == name)
        };
        let meant = leases.iter().filter(|(resource, records)| is_meant(resource, records));
        let taken = meant.map(|(resource, records)| records.taking_over(resource, claim, |run| runs.fate(run)));
        let taken = taken.collect::<Result<Vec<_>, _>>()?;
        if taken.is_empty() {
            return Err(Error::LeaseFree { name: name.to_owned() });
        }
        let losses = taken.into_iter().map(|(record, loss)| {
            leases.entry(loss.resource.clone()).or_default().push(record);
            // Behind a network, this waits until the time of the loser is over. No time passes here: it is over now.
            if let Some(term) = runs.get(&loss.take_over.from.run).ok().and_then(|run| run.term.as_ref()) {
                term.lose();
            }
            loss
        });
        Ok(losses.collect())
    }
}

/// A run, and the number by which one owner has it.
#[derive(Debug)]
struct Grip {
    store: MemoryStore,
    run: RunId,
    owner: Owner,
}

impl Grip {
    /// What is kept of the run, as long as it is this owner's.
    fn held<T>(&self, with: impl FnOnce(&mut KeptRun) -> T) -> Option<T> {
        let mut kept = self.store.kept();
        let found = kept.runs.0.get_mut(&self.run)?;
        let is_ours = found.owner.as_ref().is_some_and(|(owner, _)| *owner == self.owner);
        is_ours.then(|| with(found))
    }
}

/// The journal of a run in memory.
#[derive(Debug)]
pub struct MemoryLog(Grip);

impl Drop for MemoryLog {
    fn drop(&mut self) {
        self.0.held(KeptRun::give_up);
    }
}

impl Log for MemoryLog {
    async fn append(&mut self, at: Timestamp, events: &[Event]) -> Result<Vec<Recorded>, Error> {
        let mut kept = self.0.store.kept();
        let found = kept.runs.get_mut(&self.0.run)?;
        found.shelf.append(self.0.owner, at, events).map_err(|refused| match refused {
            Refused::Disk(source) => Error::Disk { path: NAME.into(), source },
            Refused::NotOwner => {
                let owner = found.owner.as_ref().map(|(_, holder)| Box::new(holder.clone()));
                Error::OwnerLost { run: self.0.run.clone(), owner }
            }
        })
    }

    async fn discard(self) {
        self.0.store.kept().runs.0.remove(&self.0.run);
    }
}

/// The leases of a run in memory.
#[derive(Debug)]
pub struct MemoryLeases {
    grip: Grip,
    taken: Vec<Record>,
    term: Option<Arc<Term>>,
}

impl Leases for MemoryLeases {
    async fn take(&mut self) -> Result<Taken, Error> {
        let mut kept = self.grip.store.kept();
        let Kept { runs, leases, lasts } = &mut *kept;
        let term = lasts.map(|lasts| (Moment::now(), lasts));
        let resources = runs.get(&self.grip.run)?.resources.clone();
        for resource in &resources {
            let records = leases.entry(resource.clone()).or_default();
            let record = records.taking(resource, &self.grip.run, |run| runs.fate(run))?;
            records.push(record.clone());
            self.taken.push(record);
        }
        let Some((asked, lasts)) = term else {
            let fence = MemoryFence { store: self.grip.store.clone(), taken: self.taken.clone() };
            return Ok(Taken { fence: Arc::new(fence), resources });
        };
        let (term, fence) = runs.get_mut(&self.grip.run)?.begin_term(asked, lasts);
        self.term = Some(term);
        Ok(Taken { fence: Arc::new(fence), resources })
    }

    async fn release(&mut self) {
        if let Some(term) = self.term.take() {
            term.lose();
        }
        let mut kept = self.grip.store.kept();
        for taken in self.taken.drain(..) {
            let records = kept.leases.entry(taken.resource().to_owned()).or_default();
            if let Some(released) = records.releasing(&taken) {
                records.push(released);
            }
        }
    }
}

/// Compares each lease with what it was when it was taken.
struct MemoryFence {
    store: MemoryStore,
    taken: Vec<Record>,
}

impl Fence for MemoryFence {
    fn check(&self) -> Result<(), Reason> {
        let kept = self.store.kept();
        let lost =
            |taken: &&Record| !kept.leases.get(taken.resource()).is_some_and(|records| records.is_had_with(taken));
        match self.taken.iter().find(lost) {
            None => Ok(()),
            Some(taken) => {
                let message = format!("`{}` belongs to another holder", taken.resource());
                Err(Reason::new("run-lease-lost", message))
            }
        }
    }
}

/// Where the owner of a run in memory is reached.
#[derive(Debug)]
pub struct MemoryDesk(Grip);

impl Desk for MemoryDesk {
    async fn open(&mut self, people: BTreeMap<String, Vec<String>>, deliver: Deliver) -> io::Result<()> {
        self.0.held(|run| (run.people, run.deliver) = (people, Some(Arc::new(deliver))));
        Ok(())
    }

    fn close(&mut self) {
        self.0.held(|run| run.deliver = None);
    }

    async fn answered(&mut self) {}
}

#[cfg(test)]
mod tests {
    use lifeboat_runtime::store::conformance::{Form, conforms};

    use super::*;
    use crate::lives::at_once;

    struct InMemory(fn() -> MemoryStore);

    impl Form for InMemory {
        type Store = MemoryStore;

        fn make(&self) -> MemoryStore {
            (self.0)()
        }

        fn lapse(&self, store: &MemoryStore, run: &RunId) {
            store.lapse(run);
        }

        fn tear(&self, store: &MemoryStore, run: &RunId) -> bool {
            store.kept().runs.0.get_mut(run).unwrap().shelf.tear();
            true
        }

        fn cut(&self, store: &MemoryStore, run: &RunId, bytes: usize) -> bool {
            store.kept().runs.0.get_mut(run).unwrap().shelf.cut(bytes);
            true
        }
    }

    #[test]
    fn a_store_in_memory_keeps_every_promise() {
        assert_eq!(at_once(conforms(&InMemory(MemoryStore::default))), []);
    }

    #[test]
    fn so_does_one_that_gives_leases_for_a_time() {
        let for_an_hour = || MemoryStore::with_terms(Duration::from_hours(1));
        assert_eq!(at_once(conforms(&InMemory(for_an_hour))), []);
    }
}
