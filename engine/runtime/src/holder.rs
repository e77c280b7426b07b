//! Who holds a lock or a lease: written down where it is taken, so that a refusal can name them.

use std::{
    fmt, fs,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::Duration,
};

use jiff::Timestamp;
use lifeboat_core::name::RunId;
use serde::{Deserialize, Serialize};

/// A process that holds something for a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run it works on.
    pub run: RunId,
    /// Its process id.
    pub pid: u32,
    /// The machine it runs on.
    pub host: String,
    /// The user it runs as.
    pub user: String,
    /// When it took hold.
    pub since: Timestamp,
    /// Its state folder, where others than its own look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
}

impl Holder {
    /// This process, from now on.
    pub fn this_process(run: &RunId) -> Self {
        Self {
            run: run.clone(),
            pid: std::process::id(),
            host: whoami::hostname().unwrap_or_else(|_| "unknown".to_owned()),
            user: whoami::username().unwrap_or_else(|_| "unknown".to_owned()),
            since: Timestamp::now(),
            home: None,
        }
    }

    /// The same, for others than those of its own store, which has that name.
    pub fn of_home(self, home: String) -> Self {
        Self { home: Some(home), ..self }
    }

    /// What its process does at this moment, where that can be seen from here.
    pub(crate) fn doing(&self) -> Option<Doing> {
        let state = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok().filter(|_| self.is_here())?;
        // The name before it may hold anything, parentheses too.
        Some(match state.rsplit_once(')')?.1.trim_start().chars().next()? {
            'T' => Doing::Stopped,
            't' => Doing::Traced,
            'D' => Doing::WaitsForDisk,
            _ => Doing::Other,
        })
    }

    /// Whether it runs on this machine.
    pub fn is_here(&self) -> bool {
        whoami::hostname().is_ok_and(|host| host == self.host)
    }
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// A signal stopped it.
    Stopped,
    /// A debugger stopped it.
    Traced,
    /// It cannot be interrupted, as the kernel waits for a disk or for a file system on the network.
    WaitsForDisk,
    /// It runs, or waits for something else.
    Other,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of {} on {} since {:.0}", self.pid, self.user, self.host, self.since)?;
        self.home.as_ref().map_or(Ok(()), |home| write!(f, ", with its state in {home}"))
    }
}

/// A file that this process has locked; the lock ends with it, also when the process is killed.
#[derive(Debug)]
pub(crate) struct HeldFile {
    file: File,
}

/// What came of trying to lock a file.
pub(crate) enum Attempt {
    /// It is ours.
    Taken(HeldFile),
    /// Another process has it.
    Busy(Option<Holder>),
}

/// A process that only tests whether a lock is free holds it for an instant; a few short waits distinguish that from a real holder.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Tries to lock a file, which is made where there is none.
pub(crate) fn try_hold(path: &Path) -> io::Result<Attempt> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    for look in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if look < LOOKS => thread::sleep(BETWEEN_LOOKS),
            Err(TryLockError::WouldBlock) => return Ok(Attempt::Busy(read(&mut file)?)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(Attempt::Taken(HeldFile { file }))
}

/// Whether a process holds a file at this moment.
pub(crate) enum Presence {
    /// No process does.
    Nobody,
    /// A process does, and may not have signed it yet.
    Somebody(Option<Holder>),
}

/// Who holds the file at this moment.
pub(crate) fn present(path: &Path) -> io::Result<Presence> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Presence::Nobody),
        Err(error) => return Err(error),
    };
    for _ in 0..LOOKS {
        match file.try_lock_shared() {
            Ok(()) => return Ok(Presence::Nobody),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Between taking a lock and signing it lies an instant.
        if let Some(holder) = read(&mut file)? {
            return Ok(Presence::Somebody(Some(holder)));
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Ok(Presence::Somebody(None))
}

impl HeldFile {
    /// Whether the path still leads to it, and not to a file that was made after it was removed.
    pub(crate) fn is_at(&self, path: &Path) -> io::Result<bool> {
        let (held, there) = (self.file.metadata()?, fs::metadata(path));
        Ok(there.is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())))
    }

    /// Writes who holds it.
    pub(crate) fn sign(&mut self, holder: &Holder) -> io::Result<()> {
        let text = serde_json::to_vec(holder)?;
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&text)?;
        self.file.sync_data()
    }
}

/// A signature that was cut off by a crash names no holder: its writer had not begun to work yet.
fn read(file: &mut File) -> io::Result<Option<Holder>> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text).ok())
}
