//! What this engine holds on the targets themselves while it works on a run, so that engines with different state folders do not
//! change one target at a time: an advisory lock on each server, a locked file in each folder `work` of a machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use lifeboat_core::{
    action::Effect,
    bindings::{Bindings, Hold, Machine, Postgres, System, Via},
    failure::Reason,
    name::RoleName,
};
use lifeboat_runtime::{
    holder::Holder,
    lock::{FolderLock, FolderTaken},
};
use tokio::sync::Mutex;

use crate::{
    call::CallContext,
    capability::{
        machine::lease as elsewhere,
        postgres::lease::{self, ServerLease, Taken},
    },
    wit::lifeboat::{machine::machine::Error as MachineError, postgres::postgres::Error},
};

/// What is held. Nothing where nobody asked for it: a dry-run changes nothing.
#[derive(Default)]
pub(crate) struct Targets(Mutex<State>);

#[derive(Default)]
struct State {
    /// The name under which it is held; `None` where nothing is to be held.
    sign: Option<String>,
    holder: Option<Holder>,
    servers: BTreeMap<(String, u16), Server>,
    folders: BTreeMap<PathBuf, FolderLock>,
    /// Folders of other machines, by how they are reached.
    works: BTreeMap<String, Work>,
}

/// How a folder of another machine stands.
enum Work {
    Held(Box<elsewhere::WorkLease>),
    /// It cannot be held, or is this run's own already under another address.
    Free,
}

/// What came of trying to hold one.
enum WorkTaken {
    Fine,
    By(String),
    Not(String),
}

/// How a server stands.
enum Server {
    Held(Box<ServerLease>),
    /// A pooler stands before it: nothing can be held.
    Pooled,
}

impl Targets {
    /// Takes every target that the run changes and that can be reached. What cannot be held is told; a server that does not answer
    /// is held when it is first changed. Refuses where another run has one of them.
    pub(crate) async fn hold(
        &self,
        context: &CallContext,
        roles: &BTreeSet<RoleName>,
        holder: &Holder,
    ) -> Result<Vec<Reason>, Reason> {
        let mut state = self.0.lock().await;
        state.sign = Some(lease::sign(holder));
        state.holder = Some(holder.clone());
        let held = state.take_all(context, &changed(roles, &context.bindings), holder).await;
        if held.is_err() {
            *state = State::default();
        }
        held
    }

    /// Gives everything free.
    pub(crate) async fn let_go(&self) {
        *self.0.lock().await = State::default();
    }

    /// To be called before a server is changed: takes its lease, or takes it again where its connection was lost. An error where
    /// another run has it by now.
    pub(crate) async fn on_server(&self, context: &CallContext, role: &str) -> Result<(), Error> {
        let system = RoleName::new(role).ok().and_then(|role| context.bindings.targets.get(&role));
        let Some(Hold::Server(server)) = system.map(|binding| binding.system.hold()) else { return Ok(()) };
        let mut state = self.0.lock().await;
        let refused = state.take_server(context, role, server).await?;
        refused.map_or(Ok(()), |holder| {
            let message = format!("the server behind `{role}` is being used by {holder}: this run lost it");
            Err(Error::Denied(context.refuse(Reason::new("run-lease-lost", message)).into()))
        })
    }

    /// As [`Self::on_server`] before a machine is changed that is not this one.
    pub(crate) async fn on_machine(&self, context: &CallContext, role: &str) -> Result<(), MachineError> {
        let system = RoleName::new(role).ok().and_then(|role| context.bindings.targets.get(&role));
        let Some(Hold::Work(machine)) = system.map(|binding| binding.system.hold()) else { return Ok(()) };
        let mut state = self.0.lock().await;
        let WorkTaken::By(holder) = state.take_work(context, role, machine).await? else { return Ok(()) };
        let message = format!("`work` of `{role}` is being used by {holder}: this run lost it");
        Err(MachineError::Denied(context.refuse(Reason::new("run-lease-lost", message)).into()))
    }
}

impl State {
    async fn take_all(
        &mut self,
        context: &CallContext,
        targets: &[(&RoleName, &System)],
        holder: &Holder,
    ) -> Result<Vec<Reason>, Reason> {
        let mut told = Vec::new();
        for (role, system) in targets {
            match system.hold() {
                Hold::Server(server) => {
                    match self.take_server(context, role.as_str(), server).await {
                        Ok(Some(holder)) => return Err(held(&format!("the server behind `{role}`"), &holder)),
                        Ok(None) => {}
                        // It may be what the run is there to bring back.
                        Err(Error::Connection(_)) => {}
                        Err(error) => told.push(unproved(role, &lease::reason(error).message)),
                    }
                    if let Some(Server::Pooled) = self.servers.get(&address(server)) {
                        told.push(unproved(role, "a pooler hands out its sessions for a transaction only"));
                    }
                }
                Hold::Work(machine) if machine.via != Via::Local => {
                    match self.take_work(context, role.as_str(), machine).await {
                        Ok(WorkTaken::Fine) => {}
                        Ok(WorkTaken::By(holder)) => return Err(held(&format!("`work` of `{role}`"), &holder)),
                        Ok(WorkTaken::Not(why)) => told.push(unproved(role, &why)),
                        // It is held when it is first changed.
                        Err(_) => {}
                    }
                }
                Hold::Work(machine) => {
                    let Some(folder) = work(machine) else { continue };
                    match self.take_folder(folder, holder) {
                        Ok(Some(holder)) => {
                            return Err(held(&format!("`{}` of `{role}`", folder.display()), &holder));
                        }
                        Ok(None) => {}
                        Err(error) => told.push(unproved(role, &format!("`{}`: {error}", folder.display()))),
                    }
                }
                Hold::Nothing => {}
            }
        }
        Ok(told)
    }

    /// Who has the server, where that is somebody else.
    async fn take_server(
        &mut self,
        context: &CallContext,
        role: &str,
        server: &Postgres,
    ) -> Result<Option<String>, Error> {
        let Some(sign) = &self.sign else { return Ok(None) };
        let address = address(server);
        match self.servers.get(&address) {
            Some(Server::Pooled) => return Ok(None),
            Some(Server::Held(lease)) if !lease.is_lost() => return Ok(None),
            _ => {}
        }
        let now = match lease::take(context, role, server, sign).await? {
            Taken::By(holder) => return Ok(Some(holder)),
            Taken::Held(lease) => Server::Held(lease),
            Taken::Pooled => Server::Pooled,
        };
        self.servers.insert(address, now);
        Ok(None)
    }

    /// Who has the folder, where that is somebody else. One that is not there is found missing by whoever needs it.
    fn take_folder(&mut self, folder: &Path, holder: &Holder) -> std::io::Result<Option<String>> {
        let Ok(folder) = folder.canonicalize() else { return Ok(None) };
        if self.folders.contains_key(&folder) {
            return Ok(None);
        }
        match FolderLock::take(&folder, holder)? {
            FolderTaken::Held(lock) => drop(self.folders.insert(folder, lock)),
            FolderTaken::By(other) => return Ok(Some(named(other.as_deref()))),
        }
        Ok(None)
    }

    /// Holds the folder `work` of a machine that is not this one, also where the connection that held it was lost.
    async fn take_work(
        &mut self,
        context: &CallContext,
        role: &str,
        machine: &Machine,
    ) -> Result<WorkTaken, MachineError> {
        let folder = machine.folders.get("work").filter(|_| machine.via != Via::Local);
        let (Some(holder), Some(folder)) = (&self.holder, folder) else { return Ok(WorkTaken::Fine) };
        let address = format!("{:?} {}", machine.via, folder.path);
        let stands = match self.works.get_mut(&address) {
            Some(Work::Free) => true,
            Some(Work::Held(lease)) => !lease.is_lost(),
            None => false,
        };
        if stands {
            return Ok(WorkTaken::Fine);
        }
        let (now, taken) = match elsewhere::take(context, role, machine, &folder.path, holder).await? {
            elsewhere::Taken::Held(lease) => (Work::Held(lease), WorkTaken::Fine),
            elsewhere::Taken::Missing => return Ok(WorkTaken::Fine),
            elsewhere::Taken::Not(why) => (Work::Free, WorkTaken::Not(why)),
            elsewhere::Taken::By(Some(other)) if is_same(&other, holder) => (Work::Free, WorkTaken::Fine),
            elsewhere::Taken::By(other) => return Ok(WorkTaken::By(named(other.as_deref()))),
        };
        self.works.insert(address, now);
        Ok(taken)
    }
}

/// Whether it is the engine itself, which has reached the folder by another way.
fn is_same(other: &Holder, own: &Holder) -> bool {
    (&other.run, other.pid, &other.host) == (&own.run, own.pid, &own.host)
}

fn named(other: Option<&Holder>) -> String {
    other.map_or_else(
        || "another run, which has not signed yet".to_owned(),
        |other| format!("the run `{}`, {other}", other.run),
    )
}

/// The targets among these that the bindings let be changed.
fn changed<'a>(roles: &BTreeSet<RoleName>, bindings: &'a Bindings) -> Vec<(&'a RoleName, &'a System)> {
    let bound =
        bindings.targets.iter().filter(|(role, binding)| roles.contains(*role) && binding.access > Effect::Read);
    bound.map(|(role, binding)| (role, &binding.system)).collect()
}

fn address(server: &Postgres) -> (String, u16) {
    (server.host.to_ascii_lowercase(), server.port)
}

/// The folder `work` of a machine that is this one.
fn work(machine: &Machine) -> Option<&Path> {
    let folder = machine.folders.get("work").filter(|_| machine.via == Via::Local);
    folder.map(|folder| Path::new(folder.path.as_str()))
}

fn held(what: &str, holder: &str) -> Reason {
    Reason::new("run-lease-held", format!("{what} is being used by {holder}"))
}

fn unproved(role: &RoleName, why: &str) -> Reason {
    let message = format!(
        "nothing on the target `{role}` itself keeps runs of other state folders away: {why}. See that nobody else works on it"
    );
    Reason::new("run-lease-unproved", message)
}
