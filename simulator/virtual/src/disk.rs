//! What the journal of a virtual run is written on: memory that can be full, and that can lose power in the middle of a write.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use lifeboat_runtime::journal::Medium;

/// A disk with one file. It stays when the engine ends.
#[derive(Debug, Default)]
pub(super) struct Disk {
    bytes: Vec<u8>,
    /// What happens to the next write. The journal owns the disk, so the world reaches it through a shared reference.
    next: Mutex<Option<Trouble>>,
    dead: bool,
}

/// What can happen to a write.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    /// There is room for so many thousandths of it; what was written can be cut off again.
    Full(u64),
    /// The power goes after so many thousandths of it.
    Torn(u64),
}

impl Disk {
    pub(super) fn holding(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn trouble_next(&self, trouble: Trouble) {
        *self.lock() = Some(trouble);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn part(bytes: &[u8], thousandths: u64) -> &[u8] {
    let length = bytes.len() as u64 * thousandths / 1000;
    &bytes[..usize::try_from(length).unwrap_or(0).min(bytes.len())]
}

impl Medium for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let trouble = self.lock().take();
        match trouble {
            None => {
                self.bytes.extend_from_slice(bytes);
                Ok(())
            }
            Some(Trouble::Full(thousandths)) => {
                self.bytes.extend_from_slice(part(bytes, thousandths));
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            Some(Trouble::Torn(thousandths)) => {
                self.bytes.extend_from_slice(part(bytes, thousandths));
                self.dead = true;
                Err(io::Error::other("the power is gone"))
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.dead { Err(io::Error::other("the power is gone")) } else { Ok(()) }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.sync()?;
        self.bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(())
    }
}
