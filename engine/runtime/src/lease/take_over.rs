//! Taking a lease over from a run that does not work any more, and who has which lease.

use std::{fs, io, path::Path};

use lifeboat_core::name::RunId;
use serde::Serialize;

use super::{
    Fate, Token,
    history::{self, History, Record, Records, What},
    loss::{Loss, TakeOver},
};
use crate::{Error, holder::Holder};

/// With which words a lease is taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who takes it.
    pub user: String,
    /// Why.
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
    /// The engine was on another machine, no engine has the run here, and the run is not over: from here nobody can see more.
    Elsewhere(Holder),
    /// Nobody.
    Free,
}

impl LeaseState {
    /// The holder that the history names, and what has become of it.
    fn of(last: &Holder, fate: Fate) -> Self {
        match fate {
            Fate::Over => Self::Free,
            Fate::Live(holder) => Self::Live(holder),
            Fate::Unfinished if last.is_here() => Self::Unfinished(last.clone()),
            Fate::Unfinished => Self::Elsewhere(last.clone()),
        }
    }

    /// Who has it.
    pub fn holder(&self) -> Option<&Holder> {
        match self {
            Self::Live(holder) | Self::Unfinished(holder) | Self::Elsewhere(holder) => Some(holder),
            Self::Free => None,
        }
    }
}

/// Takes the lease of a resource from the run that has it. From then on whatever still works for that run can change nothing.
/// Refuses with `run-lease-held` while its engine lives, with `run-lease-elsewhere` where that cannot be seen and nobody
/// vouches for it, and with `run-lease-free` where no run has it.
pub(crate) fn take_over(
    folder: &Path,
    resource: &str,
    claim: &Claim,
    fate: impl FnOnce(&RunId) -> Fate,
) -> Result<Loss, Error> {
    let path = history::path(folder, resource);
    let free = || Error::LeaseFree { name: resource.to_owned() };
    if !path.exists() {
        return Err(free());
    }
    let mut history = History::open(&path).map_err(Error::disk(&path))?;
    let Some(Record { what: What::Taken(last), .. }) = history.records.last() else { return Err(free()) };
    let from = last.clone();
    let state = LeaseState::of(&from, fate(&from.run));
    refuse(resource, &state, claim)?;
    let me = Holder::this_process(&from.run);
    let holder_declared_dead = !matches!(state, LeaseState::Unfinished(_));
    let (user, reason) = (claim.user.clone(), claim.reason.clone());
    let take_over = TakeOver { from, user, host: me.host, reason, holder_declared_dead };
    let (token, at) = (history.records.next_token(), me.since);
    let what = What::TakenOver(take_over.clone());
    history.append(&Record { token, at, resource: resource.to_owned(), what }).map_err(Error::disk(&path))?;
    Ok(Loss { resource: resource.to_owned(), at, take_over })
}

/// Whether nothing speaks against taking it over.
pub(crate) fn refuse(resource: &str, state: &LeaseState, claim: &Claim) -> Result<(), Error> {
    let resource = resource.to_owned();
    match state {
        LeaseState::Free => Err(Error::LeaseFree { name: resource }),
        LeaseState::Unfinished(_) => Ok(()),
        LeaseState::Live(holder) if holder.is_here() => {
            Err(Error::LeaseHeld { resource, holder: Box::new(holder.clone()) })
        }
        LeaseState::Live(_) | LeaseState::Elsewhere(_) if claim.holder_is_dead => Ok(()),
        LeaseState::Live(holder) | LeaseState::Elsewhere(holder) => {
            Err(Error::LeaseElsewhere { resource, holder: Box::new(holder.clone()) })
        }
    }
}

/// That the lease was taken over from the run; such a run never gets it again.
pub(super) fn loss(records: &Records, run: &RunId) -> Option<Loss> {
    losses(records).rfind(|loss| loss.take_over.from.run == *run)
}

/// Every take-over, the oldest first.
fn losses(records: &Records) -> impl DoubleEndedIterator<Item = Loss> + '_ {
    records.all.iter().filter_map(|Record { at, resource, what, .. }| match what {
        What::TakenOver(take_over) => Some(Loss { resource: resource.clone(), at: *at, take_over: take_over.clone() }),
        What::Taken(_) | What::Released => None,
    })
}

/// The first of the resources that the run has lost.
pub(crate) fn lost(folder: &Path, resources: &[String], run: &RunId) -> Result<Option<Loss>, Error> {
    for resource in resources {
        let path = history::path(folder, resource);
        let records = history::read(&path).map_err(Error::unreadable(&path))?;
        if let Some(loss) = loss(&records, run) {
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
        let Some(last) = records.last() else { continue };
        let state = match &last.what {
            What::Taken(holder) => LeaseState::of(holder, fate(&holder.run)),
            What::Released | What::TakenOver(_) => LeaseState::Free,
        };
        let (resource, token) = (last.resource.clone(), last.token);
        leases.push(ListedLease { resource, token, state, taken_over: losses(&records).collect() });
    }
    leases.sort_by(|a, b| a.resource.cmp(&b.resource));
    Ok(leases)
}
