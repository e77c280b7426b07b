//! The leases of this state folder: which run has which target.

use lifeboat_core::{name::RunId, run::Phase};

use super::Home;
use crate::{
    Error,
    lease::{self, Claim, Fate, Held, Lease, ListedLease, Loss},
};

impl Home {
    /// Every lease that was ever taken, by resource.
    pub fn leases(&self) -> Result<Vec<ListedLease>, Error> {
        lease::present(&self.leases_folder(), |run| self.fate(run))
    }

    /// Takes over the lease of a resource, or every lease of a run. Where one of them is refused, nothing is taken over.
    ///
    /// # Errors
    /// See [`lease::take_over`]; `run-lease-free` too where no lease is meant by the name.
    pub fn take_over(&self, name: &str, claim: &Claim) -> Result<Vec<Loss>, Error> {
        let leases = self.meant(name)?;
        leases.iter().try_for_each(|lease| lease.state.refuse(&lease.resource, claim))?;
        let folder = self.leases_folder();
        leases.iter().map(|lease| lease::take_over(&folder, &lease.resource, claim, |run| self.fate(run))).collect()
    }

    /// The lease of the resource with that name, or those of the run that is found by it.
    fn meant(&self, name: &str) -> Result<Vec<ListedLease>, Error> {
        let free = || Error::LeaseFree { name: name.to_owned() };
        let mut leases = self.leases()?;
        if leases.iter().any(|lease| lease.resource == name) {
            leases.retain(|lease| lease.resource == name);
            return Ok(leases);
        }
        let run =
            self.find(name).map_err(|error| if matches!(error, Error::Unknown { .. }) { free() } else { error })?;
        leases.retain(|lease| lease.state.holder().is_some_and(|holder| holder.run == run));
        if leases.is_empty() { Err(free()) } else { Ok(leases) }
    }

    /// The lease that was taken over from a run, if one was.
    pub fn lost_lease(&self, run: &RunId) -> Result<Option<Loss>, Error> {
        lease::lost(&self.leases_folder(), &self.leases_of(run)?.resources, run)
    }

    /// Takes the lease of each resource. Where one is refused, those that were taken stay with the run until it is over or is
    /// found never to have begun.
    pub(crate) fn lease(&self, resources: &[String], run: &RunId) -> Result<Held, Error> {
        let folder = self.leases_folder();
        let take = |resource: &String| Lease::take(&folder, resource, run, |last| self.fate(last));
        resources.iter().map(take).collect::<Result<Vec<_>, _>>().map(Held::new)
    }

    /// A run needs its targets no more when it has ended, never began, or its folder is gone. One that cannot be read may have
    /// left anything half done.
    fn fate(&self, run: &RunId) -> Fate {
        match self.holder(run) {
            Ok(Some(holder)) => return Fate::Live(holder),
            Ok(None) => {}
            Err(_) => return Fate::Unfinished,
        }
        let over = match self.load(run) {
            Ok(loaded) => matches!(loaded.run.phase, Phase::Finished { .. }),
            Err(error) => matches!(error, Error::Unknown { .. } | Error::NeverStarted { .. }),
        };
        if over { Fate::Over } else { Fate::Unfinished }
    }
}
