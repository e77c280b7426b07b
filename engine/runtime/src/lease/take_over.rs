//! Taking a lease over from a run that does not work any more, and who has which lease.

use std::{fs, io, path::Path};

use lifeboat_core::name::RunId;
use serde::Serialize;

use super::{
    Fate, Token,
    history::{self, History},
};
use crate::{Error, holder::Holder, loss::Loss};

/// With which words a lease is taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who takes it.
    pub user: String,
    /// The reason, as the person gave it.
    pub reason: String,
    /// Whether the person vouches for it that the holder is dead. Counts only where that cannot be seen from here: an engine
    /// that is alive on this machine is one.
    pub holder_is_dead: bool,
}

/// A lease in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedLease {
    /// The target.
    pub resource: String,
    /// The newest token.
    pub token: Token,
    /// Who has it.
    pub state: LeaseState,
    /// Every time that it was taken over, the oldest first.
    pub taken_over: Vec<Loss>,
}

/// Who has a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// An engine is at work.
    Live(Holder),
    /// The engine is gone, and its run is not over.
    Unfinished(Holder),
    /// The engine was on another machine, no engine has the run here, and the run is not over: more cannot be seen from here.
    Elsewhere(Holder),
    /// Nobody.
    Free,
}

impl LeaseState {
    /// Who has it.
    pub fn holder(&self) -> Option<&Holder> {
        match self {
            Self::Live(holder) | Self::Unfinished(holder) | Self::Elsewhere(holder) => Some(holder),
            Self::Free => None,
        }
    }
}

/// Takes the lease of a resource from the run that has it; see [`history::Records::taking_over`].
pub(crate) fn take_over(
    folder: &Path,
    resource: &str,
    claim: &Claim,
    fate: impl FnOnce(&RunId) -> Fate,
) -> Result<Loss, Error> {
    let path = history::path(folder, resource);
    if !path.exists() {
        return Err(Error::LeaseFree { name: resource.to_owned() });
    }
    let mut history = History::open(&path).map_err(Error::disk(&path))?;
    let (record, loss) = history.records.taking_over(resource, claim, fate)?;
    history.append(&record).map_err(Error::disk(&path))?;
    Ok(loss)
}

/// The first of the resources that the run has lost.
pub(crate) fn lost(folder: &Path, resources: &[String], run: &RunId) -> Result<Option<Loss>, Error> {
    for resource in resources {
        let path = history::path(folder, resource);
        let records = history::read(&path).map_err(Error::unreadable(&path))?;
        if let Some(loss) = records.loss(run) {
            return Ok(Some(loss));
        }
    }
    Ok(None)
}

/// Every lease there is, by resource.
pub(crate) fn present(folder: &Path, fate: impl Fn(&RunId) -> Fate) -> Result<Vec<ListedLease>, Error> {
    let mut leases = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(leases),
        Err(error) => return Err(Error::unreadable(folder)(error)),
    };
    for entry in entries {
        let path = entry.map_err(Error::unreadable(folder))?.path();
        let records = history::read(&path).map_err(Error::unreadable(&path))?;
        leases.extend(records.listed(&fate));
    }
    leases.sort_by(|a, b| a.resource.cmp(&b.resource));
    Ok(leases)
}
