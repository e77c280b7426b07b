//! What the store of a virtual run keeps: a disk with one journal, and who may append to it.

use std::io;

use jiff::Timestamp;
use lifeboat_core::{event::Event, name::RunId};
use lifeboat_runtime::journal::{Contents, Damage, Journal, Recorded, read};

use super::disk::Disk;

/// The journal of a run. It stays when the engine ends.
#[derive(Debug)]
pub(super) struct Shelf {
    run: RunId,
    journal: Journal<Disk>,
    owner: Owner,
}

/// The number of an owner of a run: only the newest may append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner(u64);

/// Why nothing was appended.
#[derive(Debug)]
pub(super) enum Refused {
    /// Another one has owned the run since.
    NotOwner,
    /// The disk does not take it.
    Disk(io::Error),
}

impl Shelf {
    /// One with an empty journal, which nobody owns.
    pub(super) fn new(run: RunId) -> Self {
        Self { journal: Journal::begin(Disk::default(), &run), owner: Owner(0), run }
    }

    /// One with what somebody left as the journal of a run, which nobody owns.
    pub(super) fn holding(run: RunId, journal: &[u8]) -> Self {
        Self { journal: Journal::begin(Disk::holding(journal.to_vec()), &run), owner: Owner(0), run }
    }

    /// Whoever owns the run owns it no more.
    pub(super) fn lapse(&mut self) {
        self.owner = Owner(self.owner.0 + 1);
    }

    /// What lies on the disk, for whoever only looks.
    pub(super) fn contents(&self) -> Result<Contents, Damage> {
        read(self.journal.medium().bytes())
    }

    /// A new owner goes on with the journal that lies on the disk; what is torn is cut off.
    pub(super) fn own(&mut self) -> Result<(Owner, Contents), Damage> {
        let contents = self.contents()?;
        self.journal = if contents.records.is_empty() {
            Journal::begin(Disk::default(), &self.run)
        } else {
            let whole = usize::try_from(contents.end.length).unwrap_or(usize::MAX);
            let bytes = self.journal.medium().bytes();
            let disk = Disk::holding(bytes[..whole.min(bytes.len())].to_vec());
            Journal::go_on(disk, contents.end.clone(), 0)
                .unwrap_or_else(|error| unreachable!("nothing is cut: {error}"))
        };
        self.lapse();
        Ok((self.owner, contents))
    }

    /// Appends the events of one decision for that owner.
    pub(super) fn append(&mut self, owner: Owner, at: Timestamp, events: &[Event]) -> Result<Vec<Recorded>, Refused> {
        if owner != self.owner {
            return Err(Refused::NotOwner);
        }
        self.journal.append(at, events).map_err(Refused::Disk)
    }

    /// The journal as it is written.
    pub(super) fn journal(&self) -> &Journal<Disk> {
        &self.journal
    }

    /// A crash leaves the beginning of a record behind the last one.
    #[cfg(test)]
    pub(super) fn tear(&mut self) {
        let bytes = [self.journal.medium().bytes(), br#"{"seq":99,"at":"#].concat();
        let end = self.journal.end().clone();
        self.journal = Journal::go_on(Disk::holding(bytes), end, 0).unwrap();
    }

    /// A crash leaves all but the last so many bytes.
    #[cfg(test)]
    pub(super) fn cut(&mut self, bytes: usize) {
        let disk = self.journal.medium().bytes();
        let disk = Disk::holding(disk[..disk.len() - bytes].to_vec());
        self.journal = Journal::go_on(disk, self.journal.end().clone(), 0).unwrap();
    }
}
