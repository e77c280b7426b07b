//! What the capability keeps. For a run: a lock in the folder `work` of each machine that it changes. For a call: files that were
//! fetched, which machines have proved to be the ones meant, and the number of programs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{PoisonError, atomic::AtomicUsize},
};

use lifeboat_core::{
    bindings::{Hold, Machine, Via},
    failure::Reason,
    name::RoleName,
};
use lifeboat_runtime::{
    holder::Holder,
    lock::{FolderLock, FolderTaken},
};
use tokio::sync::Mutex;

use super::{
    fetch::Folders,
    lease::{self, WorkLease},
};
use crate::{
    call::CallContext,
    capability::lifetimes::{self, Changed},
    wit::lifeboat::machine::machine::Error,
};

/// For a call.
#[derive(Default)]
pub(crate) struct Own {
    /// Where files lie that the call has had fetched.
    pub(super) fetched: Folders,
    /// Machines that have proved to be the ones meant.
    proved: std::sync::Mutex<BTreeSet<String>>,
    /// Programs that the guest holds.
    pub(super) processes: AtomicUsize,
}

impl lifetimes::Own for Own {
    async fn let_go(&self) {
        self.fetched.let_go().await;
    }
}

impl Own {
    /// Whether the machine has proved in this call to be the one meant.
    pub(super) fn has_proved(&self, role: &str) -> bool {
        self.proved.lock().unwrap_or_else(PoisonError::into_inner).contains(role)
    }

    /// Remembers that it has.
    pub(super) fn note_proved(&self, role: &str) {
        self.proved.lock().unwrap_or_else(PoisonError::into_inner).insert(role.to_owned());
    }
}

/// For a run.
#[derive(Default)]
pub(crate) struct Session(Mutex<Works>);

#[derive(Default)]
struct Works {
    /// Of this machine.
    here: BTreeMap<PathBuf, FolderLock>,
    /// Of other machines, by how they are reached.
    elsewhere: BTreeMap<String, Work>,
}

/// How a folder of another machine stands.
enum Work {
    Held(Box<WorkLease>),
    /// It cannot be held, or is this run's own already under another address.
    Free,
}

/// What came of trying to hold one.
enum WorkTaken {
    Fine,
    By(String),
    Not(String),
}

impl lifetimes::Session for Session {
    async fn hold(&self, context: &CallContext, target: Changed<'_>) -> Result<Option<Reason>, Reason> {
        let Hold::Work(machine) = target.system.hold() else { return Ok(None) };
        let mut works = self.0.lock().await;
        if machine.via != Via::Local {
            return match works.take_elsewhere(context, target.role.as_str(), machine).await {
                // What cannot be asked now is held when it is first changed.
                Ok(WorkTaken::Fine) | Err(_) => Ok(None),
                Ok(WorkTaken::By(holder)) => Err(target.held(&format!("`work` of `{}`", target.role), &holder)),
                Ok(WorkTaken::Not(why)) => Ok(Some(target.unproved(&why))),
            };
        }
        let Some(folder) = machine.folders.get("work").map(|folder| Path::new(folder.path.as_str())) else {
            return Ok(None);
        };
        match works.take_here(folder, target.holder) {
            Ok(None) => Ok(None),
            Ok(Some(holder)) => Err(target.held(&format!("`{}` of `{}`", folder.display(), target.role), &holder)),
            Err(error) => Ok(Some(target.unproved(&format!("`{}`: {error}", folder.display())))),
        }
    }

    async fn let_go(&self) {
        *self.0.lock().await = Works::default();
    }
}

impl Session {
    /// To be called before a machine is changed that is not this one: holds its folder `work`, also where the connection that held it was
    /// lost. An error where another run has it by now.
    pub(super) async fn on_machine(&self, context: &CallContext, role: &str) -> Result<(), Error> {
        let system = RoleName::new(role).ok().and_then(|role| context.bindings.targets.get(&role));
        let Some(Hold::Work(machine)) = system.map(|binding| binding.system.hold()) else { return Ok(()) };
        let taken = self.0.lock().await.take_elsewhere(context, role, machine).await?;
        let WorkTaken::By(holder) = taken else { return Ok(()) };
        let message = format!("this run lost `work` of `{role}`, which is now in use by {holder}");
        Err(Error::Denied(context.refuse(Reason::new("run-lease-lost", message)).into()))
    }
}

impl Works {
    /// Who has the folder, where that is somebody else. One that is not there is found missing by whoever needs it.
    fn take_here(&mut self, folder: &Path, holder: &Holder) -> std::io::Result<Option<String>> {
        let Ok(folder) = folder.canonicalize() else { return Ok(None) };
        if self.here.contains_key(&folder) {
            return Ok(None);
        }
        match FolderLock::take(&folder, holder)? {
            FolderTaken::Held(lock) => drop(self.here.insert(folder, lock)),
            FolderTaken::By(other) => return Ok(Some(named(other.as_deref()))),
        }
        Ok(None)
    }

    async fn take_elsewhere(
        &mut self,
        context: &CallContext,
        role: &str,
        machine: &Machine,
    ) -> Result<WorkTaken, Error> {
        let folder = machine.folders.get("work").filter(|_| machine.via != Via::Local);
        let (Some(holder), Some(folder)) = (context.sessions.holder(), folder) else { return Ok(WorkTaken::Fine) };
        let address = format!("{:?} {}", machine.via, folder.path);
        let stands = match self.elsewhere.get_mut(&address) {
            Some(Work::Free) => true,
            Some(Work::Held(lease)) => !lease.is_lost(),
            None => false,
        };
        if stands {
            return Ok(WorkTaken::Fine);
        }
        let (now, taken) = match lease::take(context, role, machine, &folder.path, &holder).await? {
            lease::Taken::Held(lease) => (Work::Held(lease), WorkTaken::Fine),
            lease::Taken::Missing => return Ok(WorkTaken::Fine),
            lease::Taken::Not(why) => (Work::Free, WorkTaken::Not(why)),
            lease::Taken::By(Some(other)) if is_same(&other, &holder) => (Work::Free, WorkTaken::Fine),
            lease::Taken::By(other) => return Ok(WorkTaken::By(named(other.as_deref()))),
        };
        self.elsewhere.insert(address, now);
        Ok(taken)
    }
}

/// Whether it is the engine itself, which has reached the folder by another way.
fn is_same(other: &Holder, own: &Holder) -> bool {
    (&other.run, other.pid, &other.host) == (&own.run, own.pid, &own.host)
}

fn named(other: Option<&Holder>) -> String {
    other.map_or_else(
        || "another run, which has not written its name yet".to_owned(),
        |other| format!("the run `{}`, {other}", other.run),
    )
}
