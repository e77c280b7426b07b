//! The run lock: two engines can not work on one run.

use std::path::Path;

use lifeboat_core::name::RunId;

use crate::{
    Error,
    holder::{self, Attempt, HeldFile, Holder, Presence},
};

/// The right of this process to work on a run, until it is dropped or the process ends.
#[derive(Debug)]
pub struct RunLock {
    _file: HeldFile,
}

impl RunLock {
    /// Takes the lock of the run in that folder, or says who has it (`run-locked`).
    pub fn take(folder: &Path, run: &RunId) -> Result<Self, Error> {
        let path = folder.join("lock");
        match holder::try_hold(&path).map_err(Error::disk(&path))? {
            Attempt::Taken(mut file) => {
                file.sign(&Holder::this_process(run)).map_err(Error::disk(&path))?;
                Ok(Self { _file: file })
            }
            Attempt::Busy(holder) => {
                let holder = Box::new(holder.unwrap_or_else(|| unsigned(run)));
                Err(Error::Locked { run: run.clone(), holder })
            }
        }
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
}
