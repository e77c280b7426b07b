//! The state folder as a store: a run belongs to the process that has locked its folder, until that process ends.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use lifeboat_core::{
    event::{Event, Mode},
    name::RunId,
    operator::Command,
};

use super::{Home, Resources, RunFolder};
use crate::{
    Error,
    control::{self, Control, Sent, Served},
    journal::{End, Journal, Recorded},
    lease::{Claim, Held, ListedLease, Loss},
    lock::RunLock,
    store::{Deliver, Desk, Leases, Listed, Loaded, Log, NewRun, Owned, Store, Taken},
};

impl Store for Home {
    type Log = FolderLog;
    type Leases = FolderLeases;
    type Desk = FolderDesk;

    fn name(&self) -> String {
        self.path().display().to_string()
    }

    fn logs(&self, run: &RunId) -> PathBuf {
        self.folder(run).logs()
    }

    async fn create(&self, new: &NewRun) -> Result<Owned<Self>, Error> {
        let folder = self.folder(&new.run);
        fs::create_dir_all(folder.path()).map_err(Error::disk(folder.path()))?;
        let lock = RunLock::take(folder.path(), &new.run)?;
        if folder.journal().exists() {
            return Err(Error::Exists { run: new.run.clone() });
        }
        match write(&folder, new) {
            Ok(file) => Ok(self.owned(&new.run, lock, Writing::Begun(Journal::begin(file, &new.run)))),
            Err(error) => {
                // The refusal is what the user must see; a folder that stays behind holds no journal and no run.
                folder.discard();
                Err(error)
            }
        }
    }

    async fn own(&self, run: &RunId) -> Result<(Loaded, Owned<Self>), Error> {
        let folder = self.folder(run);
        if !folder.path().exists() {
            return Err(Error::Unknown { name: run.to_string() });
        }
        let lock = RunLock::take(folder.path(), run)?;
        let loaded = Home::load(self, run)?;
        let writing = Writing::GoesOn { end: loaded.end.clone(), torn_bytes: loaded.torn_bytes };
        Ok((loaded, self.owned(run, lock, writing)))
    }

    async fn load(&self, run: &RunId) -> Result<Loaded, Error> {
        Home::load(self, run)
    }

    async fn list(&self) -> Result<Vec<Listed>, Error> {
        self.runs()
    }

    async fn tell(&self, run: &RunId, command: &Command, patience: Duration) -> Result<Sent, Error> {
        let folder = self.run_folder(run);
        if !folder.exists() {
            return Err(Error::Unknown { name: run.to_string() });
        }
        let sent = control::send(&folder, run, command, patience).await.map_err(Error::unreadable(&folder))?;
        Ok(match sent {
            Sent::Silent(_) => Sent::Silent(RunLock::holder(&folder, run)?),
            sent => sent,
        })
    }

    async fn leases(&self) -> Result<Vec<ListedLease>, Error> {
        Home::leases(self)
    }

    async fn take_over(&self, name: &str, claim: &Claim) -> Result<Vec<Loss>, Error> {
        Home::take_over(self, name, claim)
    }
}

impl Home {
    fn owned(&self, run: &RunId, lock: RunLock, writing: Writing) -> Owned<Self> {
        let folder = self.folder(run);
        Owned {
            desk: FolderDesk { folder: folder.path().to_owned(), run: run.clone(), control: None, served: None },
            leases: FolderLeases { home: self.clone(), run: run.clone(), held: None },
            log: FolderLog { folder, run: run.clone(), writing: Some(writing), lock },
        }
    }
}

/// Writes what must stand on disk before the first event. A dry-run writes to no target.
fn write(folder: &RunFolder, new: &NewRun) -> Result<File, Error> {
    let resources = if new.mode == Mode::Real { new.leases.clone() } else { Vec::new() };
    folder.prepare(new, &Resources { resources })?;
    folder.keep_called(&new.called_sources)?;
    folder.create_journal()
}

/// The journal of a run whose folder this process has locked.
#[derive(Debug)]
pub struct FolderLog {
    folder: RunFolder,
    run: RunId,
    /// `None` where it could not be opened.
    writing: Option<Writing>,
    lock: RunLock,
}

/// How far a journal is opened.
#[derive(Debug)]
enum Writing {
    /// Something is appended here.
    Begun(Journal<File>),
    /// It was read. What is torn is cut off with the first append, so that looking at a run changes nothing.
    GoesOn { end: End, torn_bytes: u64 },
}

impl FolderLog {
    /// The journal, ready for appending.
    fn journal(&mut self) -> Result<&mut Journal<File>, Error> {
        let journal = match self.writing.take() {
            Some(Writing::Begun(journal)) => journal,
            Some(Writing::GoesOn { end, torn_bytes }) => {
                let file = self.folder.open_journal()?;
                Journal::go_on(file, end, torn_bytes).map_err(Error::disk(self.folder.journal()))?
            }
            None => return Err(Error::disk(self.folder.journal())(io::Error::other("it could not be opened before"))),
        };
        match self.writing.insert(Writing::Begun(journal)) {
            Writing::Begun(journal) => Ok(journal),
            Writing::GoesOn { .. } => unreachable!("it has just begun"),
        }
    }
}

impl Log for FolderLog {
    /// Blocks the thread: until the events are on disk there is nothing else that the driver may do.
    async fn append(&mut self, at: Timestamp, events: &[Event]) -> Result<Vec<Recorded>, Error> {
        let path = self.folder.journal();
        if !self.lock.is_held(self.folder.path()).map_err(Error::unreadable(self.folder.path()))? {
            let owner = RunLock::holder(self.folder.path(), &self.run)?.map(Box::new);
            return Err(Error::OwnerLost { run: self.run.clone(), owner });
        }
        self.journal()?.append(at, events).map_err(Error::disk(path))
    }

    async fn discard(self) {
        self.folder.discard();
    }
}

/// The leases of a run, in the files of the state folder.
#[derive(Debug)]
pub struct FolderLeases {
    home: Home,
    run: RunId,
    held: Option<Arc<Held>>,
}

impl Leases for FolderLeases {
    async fn take(&mut self) -> Result<Taken, Error> {
        let resources = self.home.leases_of(&self.run)?.resources;
        let held = Arc::new(self.home.lease(&resources, &self.run)?);
        self.held = Some(held.clone());
        Ok(Taken { fence: held, resources })
    }

    async fn release(&mut self) {
        if let Some(held) = self.held.take() {
            held.release();
        }
    }
}

/// The socket in the folder of a run.
#[derive(Debug)]
pub struct FolderDesk {
    folder: PathBuf,
    run: RunId,
    control: Option<Control>,
    served: Option<Served>,
}

impl Desk for FolderDesk {
    async fn open(&mut self, people: BTreeMap<String, Vec<String>>, deliver: Deliver) -> io::Result<()> {
        self.control = Some(Control::open(&self.folder, self.run.clone(), people, deliver)?);
        Ok(())
    }

    fn close(&mut self) {
        self.served = self.control.take().map(Control::close);
    }

    async fn answered(&mut self) {
        if let Some(served) = self.served.take() {
            served.answered().await;
        }
    }
}
