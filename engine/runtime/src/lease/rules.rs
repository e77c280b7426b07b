//! What may happen to a lease after what happened before. Who asks keeps everybody else away from the lease until the record that
//! comes back is durable; how that is done is the store's business.

use jiff::Timestamp;
use lifeboat_core::name::RunId;

use super::{
    Claim, Fate, LeaseState, ListedLease, Loss, TakeOver,
    history::{Record, Records, What},
};
use crate::{Error, holder::Holder};

impl Records {
    /// The run takes the lease of the resource. `fate` says what has become of another run that had it last.
    ///
    /// # Errors
    /// `run-lease-held`, `run-lease-unfinished`, or `run-lease-lost` where it was taken over from this very run.
    pub fn taking(&self, resource: &str, run: &RunId, fate: impl FnOnce(&RunId) -> Fate) -> Result<Record, Error> {
        if let Some(loss) = self.loss(run) {
            return Err(Error::LeaseLost(Box::new(loss)));
        }
        if let Some(Record { what: What::Taken(last), .. }) = self.last()
            && last.run != *run
        {
            let resource = resource.to_owned();
            match fate(&last.run) {
                Fate::Live(holder) => return Err(Error::LeaseHeld { resource, holder: Box::new(holder) }),
                Fate::Unfinished => return Err(Error::LeaseUnfinished { resource, holder: Box::new(last.clone()) }),
                Fate::Over => {}
            }
        }
        let what = What::Taken(Holder::this_process(run));
        Ok(Record { token: self.next_token(), at: Timestamp::now(), resource: resource.to_owned(), what })
    }

    /// The owner that took the lease with that record gives it back; `None` if it is no longer theirs.
    pub fn releasing(&self, taken: &Record) -> Option<Record> {
        let ours = self.last().is_some_and(|last| last.token == taken.token);
        let (token, resource) = (taken.token, taken.resource.clone());
        ours.then(|| Record { token, at: Timestamp::now(), resource, what: What::Released })
    }

    /// A person takes the lease of the resource from the run that has it. From then on, anything that still works for that run can
    /// change nothing.
    ///
    /// # Errors
    /// `run-lease-held` while its engine lives, `run-lease-elsewhere` if that cannot be seen and nobody vouches for it, and
    /// `run-lease-free` where no run has it.
    pub fn taking_over(
        &self,
        resource: &str,
        claim: &Claim,
        fate: impl FnOnce(&RunId) -> Fate,
    ) -> Result<(Record, Loss), Error> {
        let Some(Record { what: What::Taken(from), .. }) = self.last() else {
            return Err(Error::LeaseFree { name: resource.to_owned() });
        };
        let state = LeaseState::of(from, fate(&from.run));
        state.refuse(resource, claim)?;
        let me = Holder::this_process(&from.run);
        let holder_declared_dead = !matches!(state, LeaseState::Unfinished(_));
        let (user, reason) = (claim.user.clone(), claim.reason.clone());
        let take_over = TakeOver { from: from.clone(), user, host: me.host, reason, holder_declared_dead };
        let (resource, at) = (resource.to_owned(), me.since);
        let what = What::TakenOver(take_over.clone());
        let record = Record { token: self.next_token(), at, resource: resource.clone(), what };
        Ok((record, Loss { resource, at, take_over }))
    }

    /// That the lease was taken over from the run; such a run never gets it again.
    pub fn loss(&self, run: &RunId) -> Option<Loss> {
        self.losses().rfind(|loss| loss.take_over.from.run == *run)
    }

    /// Every take-over, the oldest first.
    fn losses(&self) -> impl DoubleEndedIterator<Item = Loss> + '_ {
        self.all.iter().filter_map(|Record { at, resource, what, .. }| match what {
            What::TakenOver(take_over) => {
                Some(Loss { resource: resource.clone(), at: *at, take_over: take_over.clone() })
            }
            What::Taken(_) | What::Released => None,
        })
    }

    /// Whether the lease is still had with that record: nothing has happened to it since.
    pub fn is_had_with(&self, taken: &Record) -> bool {
        self.last() == Some(taken)
    }

    /// The lease as the list shows it; `None` where nothing ever happened to it.
    pub fn listed(&self, fate: impl FnOnce(&RunId) -> Fate) -> Option<ListedLease> {
        let last = self.last()?;
        let state = match &last.what {
            What::Taken(holder) => LeaseState::of(holder, fate(&holder.run)),
            What::Released | What::TakenOver(_) => LeaseState::Free,
        };
        let (resource, token) = (last.resource.clone(), last.token);
        Some(ListedLease { resource, token, state, taken_over: self.losses().collect() })
    }
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

    /// Whether nothing speaks against taking it over.
    pub(crate) fn refuse(&self, resource: &str, claim: &Claim) -> Result<(), Error> {
        let resource = resource.to_owned();
        match self {
            Self::Free => Err(Error::LeaseFree { name: resource }),
            Self::Unfinished(_) => Ok(()),
            Self::Live(holder) if holder.is_here() => {
                Err(Error::LeaseHeld { resource, holder: Box::new(holder.clone()) })
            }
            Self::Live(_) | Self::Elsewhere(_) if claim.holder_is_dead => Ok(()),
            Self::Live(holder) | Self::Elsewhere(holder) => {
                Err(Error::LeaseElsewhere { resource, holder: Box::new(holder.clone()) })
            }
        }
    }
}
