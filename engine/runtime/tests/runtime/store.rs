//! The state folder keeps every promise of a store, and the suite that says so notices stores that do not.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    sync::Mutex,
    time::Duration,
};

use jiff::Timestamp;
use lifeboat_core::{event::Event, name::RunId, operator::Command};
use lifeboat_runtime::{
    Error,
    home::{FolderDesk, FolderLeases, FolderLog, Home, Listed, Loaded},
    journal::{Journal, Recorded, read},
    lease::{Claim, ListedLease, Loss},
    session::NewRun,
    store::{
        Leases, Log, Owned, Sent, Store, Taken,
        conformance::{Form, conforms},
    },
};
use tempfile::TempDir;

/// State folders, which are gone when this is dropped.
#[derive(Default)]
struct Folders(Mutex<Vec<TempDir>>);

impl Folders {
    fn home(&self) -> Home {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        self.0.lock().unwrap().push(folder);
        home
    }
}

/// An engine that is cut off from the lock of its run: a file of that name is there, and it is another one.
fn lapse(home: &Home, run: &RunId) {
    // A run that was discarded has none.
    let _ = fs::remove_file(home.run_folder(run).join("lock"));
}

fn tear(home: &Home, run: &RunId) -> bool {
    let mut journal = OpenOptions::new().append(true).open(home.journal(run)).unwrap();
    journal.write_all(b"{\"seq\":99,\"at\":").unwrap();
    true
}

fn cut(home: &Home, run: &RunId, bytes: usize) -> bool {
    let journal = OpenOptions::new().write(true).open(home.journal(run)).unwrap();
    let length = journal.metadata().unwrap().len();
    journal.set_len(length - bytes as u64).unwrap();
    true
}

impl Form for Folders {
    type Store = Home;

    fn make(&self) -> Home {
        self.home()
    }

    fn lapse(&self, home: &Home, run: &RunId) {
        lapse(home, run);
    }

    fn tear(&self, home: &Home, run: &RunId) -> bool {
        tear(home, run)
    }

    fn cut(&self, home: &Home, run: &RunId, bytes: usize) -> bool {
        cut(home, run, bytes)
    }
}

#[tokio::test]
async fn the_state_folder_keeps_every_promise() {
    assert_eq!(conforms(&Folders::default()).await, []);
}

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// What was appended last is gone with its engine.
    LosesTheLastAppend,
    /// The records of one append come in another order.
    MixesRecords,
    /// Whoever wants a run has it.
    LetsASecondOwnerIn,
    /// Who lost a run appends behind the one who has it.
    AppendsUnowned,
    /// Runs are listed with the oldest first.
    ListsBackwards,
    /// A run that was made twice begins anew.
    MakesTwice,
    /// What is torn is not told.
    HidesTears,
    /// Of an append that a crash cuts short, the end is there and not the beginning.
    WritesTheLastFirst,
    /// Nobody hears what the run is told.
    IsDeaf,
    /// A lease is taken without looking.
    LeasesToAll,
    /// A take-over is written nowhere.
    ForgetsTakeOvers,
    /// Every lease has the same token.
    HasOneToken,
}

/// State folders with a flaw.
struct Flawed {
    folders: Folders,
    flaw: Flaw,
}

#[derive(Clone)]
struct FlawedStore {
    home: Home,
    flaw: Flaw,
}

struct FlawedLog {
    inner: FolderLog,
    journal: PathBuf,
    /// How long the journal was before the last append.
    before: u64,
    flaw: Flaw,
}

impl FlawedStore {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn owned(&self, run: &RunId, owned: Owned<Home>) -> Owned<Self> {
        let Owned { log, leases, desk } = owned;
        Owned {
            log: FlawedLog { inner: log, journal: self.home.journal(run), before: 0, flaw: self.flaw },
            leases: FlawedLeases { inner: leases, folder: self.home.path().join("leases"), flaw: self.flaw },
            desk,
        }
    }
}

impl Store for FlawedStore {
    type Log = FlawedLog;
    type Leases = FlawedLeases;
    type Desk = FolderDesk;

    fn name(&self) -> String {
        self.home.name()
    }

    fn logs(&self, run: &RunId) -> PathBuf {
        self.home.logs(run)
    }

    async fn create(&self, new: &NewRun) -> Result<Owned<Self>, Error> {
        if self.has(Flaw::MakesTwice) {
            let _ = fs::remove_file(self.home.journal(&new.run));
        }
        Ok(self.owned(&new.run, self.home.create(new).await?))
    }

    async fn own(&self, run: &RunId) -> Result<(Loaded, Owned<Self>), Error> {
        if self.has(Flaw::LetsASecondOwnerIn) && self.home.run_folder(run).exists() {
            lapse(&self.home, run);
        }
        let (loaded, owned) = self.home.own(run).await?;
        Ok((loaded, self.owned(run, owned)))
    }

    async fn load(&self, run: &RunId) -> Result<Loaded, Error> {
        let loaded = self.home.load(run)?;
        let torn_bytes = if self.has(Flaw::HidesTears) { 0 } else { loaded.torn_bytes };
        Ok(Loaded { torn_bytes, ..loaded })
    }

    async fn list(&self) -> Result<Vec<Listed>, Error> {
        let mut runs = self.home.runs()?;
        if self.has(Flaw::ListsBackwards) {
            runs.reverse();
        }
        Ok(runs)
    }

    async fn tell(&self, run: &RunId, command: &Command, patience: Duration) -> Result<Sent, Error> {
        if self.has(Flaw::IsDeaf) { Ok(Sent::Nobody) } else { self.home.tell(run, command, patience).await }
    }

    async fn leases(&self) -> Result<Vec<ListedLease>, Error> {
        let mut leases = self.home.leases()?;
        if self.has(Flaw::HasOneToken) {
            leases.iter_mut().for_each(|lease| lease.token.0 = 1);
        }
        Ok(leases)
    }

    async fn take_over(&self, name: &str, claim: &Claim) -> Result<Vec<Loss>, Error> {
        let files = || fs::read_dir(self.home.path().join("leases")).unwrap().map(|file| file.unwrap().path());
        let before: Vec<_> = files().map(|file| (fs::read(&file).unwrap(), file)).collect();
        let losses = self.home.take_over(name, claim)?;
        if self.has(Flaw::ForgetsTakeOvers) {
            before.iter().for_each(|(bytes, file)| fs::write(file, bytes).unwrap());
        }
        Ok(losses)
    }
}

impl Log for FlawedLog {
    async fn append(&mut self, at: Timestamp, events: &[Event]) -> Result<Vec<Recorded>, Error> {
        self.before = fs::metadata(&self.journal).map_or(0, |facts| facts.len());
        match self.inner.append(at, events).await {
            Err(Error::OwnerLost { .. }) if self.flaw == Flaw::AppendsUnowned => {
                let contents = read(&fs::read(&self.journal).unwrap()).unwrap();
                let file = OpenOptions::new().append(true).open(&self.journal).unwrap();
                Ok(Journal::go_on(file, contents.end, 0).unwrap().append(at, events).unwrap())
            }
            Ok(mut records) if self.flaw == Flaw::MixesRecords => {
                records.reverse();
                Ok(records)
            }
            result => result,
        }
    }

    async fn discard(self) {
        // What implements `Drop` is not taken apart.
        let _ = fs::remove_dir_all(self.journal.parent().unwrap());
    }
}

impl Drop for FlawedLog {
    fn drop(&mut self) {
        if self.flaw == Flaw::LosesTheLastAppend && self.before > 0 {
            OpenOptions::new().write(true).open(&self.journal).unwrap().set_len(self.before).unwrap();
        }
    }
}

struct FlawedLeases {
    inner: FolderLeases,
    folder: PathBuf,
    flaw: Flaw,
}

impl Leases for FlawedLeases {
    async fn take(&mut self) -> Result<Taken, Error> {
        if self.flaw == Flaw::LeasesToAll {
            fs::read_dir(&self.folder).unwrap().for_each(|file| fs::remove_file(file.unwrap().path()).unwrap());
        }
        self.inner.take().await
    }

    async fn release(&mut self) {
        self.inner.release().await;
    }
}

impl Form for Flawed {
    type Store = FlawedStore;

    fn make(&self) -> FlawedStore {
        FlawedStore { home: self.folders.home(), flaw: self.flaw }
    }

    fn lapse(&self, store: &FlawedStore, run: &RunId) {
        lapse(&store.home, run);
    }

    fn tear(&self, store: &FlawedStore, run: &RunId) -> bool {
        tear(&store.home, run)
    }

    fn cut(&self, store: &FlawedStore, run: &RunId, bytes: usize) -> bool {
        if !store.has(Flaw::WritesTheLastFirst) {
            return cut(&store.home, run, bytes);
        }
        let journal = store.home.journal(run);
        let whole = fs::read(&journal).unwrap();
        fs::write(journal, &whole[bytes..]).unwrap();
        true
    }
}

#[track_caller]
fn assert_broken(flaw: Flaw, broken: &[&'static str], promise: &str) {
    assert!(broken.contains(&promise), "{flaw:?} breaks {broken:?}");
}

#[tokio::test]
async fn a_store_that_breaks_a_promise_is_found() {
    for (flaw, promise) in [
        (Flaw::LosesTheLastAppend, "an append that returned is read"),
        (Flaw::MixesRecords, "records are in order and chained"),
        (Flaw::LetsASecondOwnerIn, "a run has one owner"),
        (Flaw::AppendsUnowned, "who lost a run appends nothing"),
        (Flaw::ListsBackwards, "what has begun is listed"),
        (Flaw::MakesTwice, "a run is made once"),
        (Flaw::HidesTears, "a torn end is told and cut off"),
        (Flaw::WritesTheLastFirst, "an append that was cut short leaves a beginning"),
        (Flaw::IsDeaf, "the owner hears what a run is told"),
        (Flaw::LeasesToAll, "a lease is one run's until it is given back"),
        (Flaw::ForgetsTakeOvers, "a lease that was taken over is lost"),
        (Flaw::HasOneToken, "tokens only grow"),
    ] {
        let broken = conforms(&Flawed { folders: Folders::default(), flaw }).await;
        let broken: Vec<_> = broken.iter().map(|violation| violation.promise).collect();
        assert_broken(flaw, &broken, promise);
    }
}
