//! The run lock: two engines cannot work on one run.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use lifeboat_core::name::RunId;

use crate::{
    Error,
    holder::{self, Attempt, HeldFile, Holder, Presence},
};

/// The right of this process to work on a run, until it is dropped or the process ends.
#[derive(Debug)]
pub struct RunLock {
    file: HeldFile,
}

impl RunLock {
    /// Takes the lock of the run in that folder, or says who has it (`run-locked`).
    pub fn take(folder: &Path, run: &RunId) -> Result<Self, Error> {
        let path = folder.join("lock");
        match holder::try_hold(&path).map_err(Error::disk(&path))? {
            Attempt::Taken(mut file) => {
                file.sign(&Holder::this_process(run)).map_err(Error::disk(&path))?;
                Ok(Self { file })
            }
            Attempt::Busy(holder) => {
                let holder = Box::new(holder.unwrap_or_else(|| unsigned(run)));
                Err(Error::Locked { run: run.clone(), holder })
            }
        }
    }

    /// Whether it is still the lock of the run in that folder. A lock whose file was removed, or restored from a copy, excludes no other
    /// engine.
    pub(crate) fn is_held(&self, folder: &Path) -> io::Result<bool> {
        self.file.is_at(&folder.join("lock"))
    }

    /// Who works on the run in that folder at this moment, if anyone does.
    pub fn holder(folder: &Path, run: &RunId) -> Result<Option<Holder>, Error> {
        let path = folder.join("lock");
        let presence = holder::present(&path).map_err(Error::unreadable(&path))?;
        Ok(match presence {
            Presence::Nobody => None,
            Presence::Somebody(holder) => Some(holder.unwrap_or_else(|| unsigned(run))),
        })
    }
}

/// The holder has the lock and has not signed yet: between the two lies an instant. It passes for a process of this machine,
/// where nobody takes its leases over.
fn unsigned(run: &RunId) -> Holder {
    Holder { pid: 0, user: "unknown".to_owned(), ..Holder::this_process(run) }
}

/// The name of the file by which a folder is held.
const FOLDER_LOCK: &str = ".lifeboat-lease";

/// The right of this process to change a folder that engines with other state folders use too, until it is dropped or the process
/// ends. Of an engine that is dead nothing is left but the file, which the next one takes.
#[derive(Debug)]
pub struct FolderLock {
    path: PathBuf,
    _file: HeldFile,
}

/// What came of trying to hold a folder.
#[derive(Debug)]
pub enum FolderTaken {
    /// It is ours.
    Held(FolderLock),
    /// Another process has it, which may not have signed yet.
    By(Option<Box<Holder>>),
}

impl FolderLock {
    /// Holds the folder, or says who does.
    pub fn take(folder: &Path, holder: &Holder) -> io::Result<FolderTaken> {
        let path = folder.join(FOLDER_LOCK);
        loop {
            match holder::try_hold(&path)? {
                Attempt::Busy(other) => return Ok(FolderTaken::By(other.map(Box::new))),
                // Its holder removed it in between: the file that is there now is another one.
                Attempt::Taken(file) if !file.is_at(&path)? => {}
                Attempt::Taken(mut file) => {
                    file.sign(holder)?;
                    return Ok(FolderTaken::Held(Self { path, _file: file }));
                }
            }
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // A lock file that stays behind is not locked.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_engine_is_told_who_has_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunId::new("dr-003-20261121-7f3a").unwrap();
        let first = RunLock::take(folder.path(), &run).unwrap();
        let refusal = RunLock::take(folder.path(), &run).unwrap_err();
        assert_eq!(refusal.code(), "run-locked");
        assert!(refusal.to_string().contains(&format!("process {}", std::process::id())), "{refusal}");
        assert_eq!(RunLock::holder(folder.path(), &run).unwrap().unwrap().pid, std::process::id());

        drop(first);
        assert_eq!(RunLock::holder(folder.path(), &run).unwrap(), None);
        RunLock::take(folder.path(), &run).unwrap();
    }

    #[test]
    fn a_folder_has_one_holder_and_keeps_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let me = |run: &str| Holder::this_process(&RunId::new(run).unwrap()).of_home("/var/lib/lifeboat".to_owned());
        let FolderTaken::Held(first) = FolderLock::take(folder.path(), &me("dr-003-a")).unwrap() else {
            panic!("nobody has it")
        };
        let FolderTaken::By(Some(other)) = FolderLock::take(folder.path(), &me("dr-003-b")).unwrap() else {
            panic!("it is held")
        };
        assert_eq!(other.run.as_str(), "dr-003-a");
        assert!(other.to_string().contains("with its state in /var/lib/lifeboat"), "{other}");
        drop(first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // What a dead engine left there locks nothing.
        fs::write(folder.path().join(FOLDER_LOCK), serde_json::to_vec(&me("dr-003-a")).unwrap()).unwrap();
        assert!(matches!(FolderLock::take(folder.path(), &me("dr-003-b")).unwrap(), FolderTaken::Held(_)));
    }
}
