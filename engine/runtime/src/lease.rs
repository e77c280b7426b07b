//! Leases: two runs can not write to the same target.
//!
//! One file a resource. The lock on it ends with the process that holds it; the name in it stays until that run is over, so
//! that a crashed run keeps its targets from others until it was resumed to its end.

use std::path::Path;

use lifeboat_core::name::RunId;
use sha2::{Digest, Sha256};

use crate::{
    Error,
    holder::{self, Attempt, HeldFile, Holder},
    lock,
};

/// The right of a run to write to a target, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lease {
    file: HeldFile,
}

impl Lease {
    /// Takes the lease of a resource for a run. `is_over` says whether another run, named in the file by a process that is
    /// gone, has ended. Refuses with `run-lease-held` or `run-lease-unfinished`.
    pub fn take(
        folder: &Path,
        resource: &str,
        run: &RunId,
        is_over: impl FnOnce(&RunId) -> bool,
    ) -> Result<Self, Error> {
        let path = folder.join(file_name(resource));
        match holder::try_hold(&path).map_err(Error::disk(&path))? {
            Attempt::Busy(holder) => {
                let holder = Box::new(holder.unwrap_or_else(|| lock::unsigned(run)));
                Err(Error::LeaseHeld { resource: resource.to_owned(), holder })
            }
            Attempt::Taken(_, Some(last)) if last.run != *run && !is_over(&last.run) => {
                Err(Error::LeaseUnfinished { resource: resource.to_owned(), holder: Box::new(last) })
            }
            Attempt::Taken(mut file, _) => {
                file.sign(&Holder::this_process(run)).map_err(Error::disk(&path))?;
                Ok(Self { file })
            }
        }
    }

    /// Gives the target free for every run: this one is over.
    pub fn release(mut self) {
        // A name that can not be wiped keeps nobody out: it is that of a run that is over.
        let _ = self.file.clear();
    }
}

/// Readable, and different for different resources whatever characters they have.
fn file_name(resource: &str) -> String {
    let readable: String = resource.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
    let digest = Sha256::digest(resource.as_bytes());
    format!("{readable}-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCE: &str = "postgres:7423000000000000001";

    fn run(name: &str) -> RunId {
        RunId::new(name).unwrap()
    }

    fn code(result: Result<Lease, Error>) -> &'static str {
        result.err().map_or("taken", |error| error.code())
    }

    #[test]
    fn a_target_has_one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (run("dr-003-a"), run("dr-003-b"));
        let over = |_: &RunId| true;
        let first = Lease::take(folder.path(), RESOURCE, &a, over).unwrap();
        let refusal = Lease::take(folder.path(), RESOURCE, &b, over).unwrap_err();
        assert_eq!(refusal.code(), "run-lease-held");
        assert!(refusal.to_string().contains("`dr-003-a`"), "{refusal}");
        assert_eq!(code(Lease::take(folder.path(), "postgres:2", &b, over)), "taken");
        first.release();
        assert_eq!(code(Lease::take(folder.path(), RESOURCE, &b, |_| false)), "taken");
    }

    #[test]
    fn a_crashed_run_keeps_its_target_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (run("dr-003-a"), run("dr-003-b"));
        drop(Lease::take(folder.path(), RESOURCE, &a, |_| false).unwrap());
        let refusal = Lease::take(folder.path(), RESOURCE, &b, |_| false).unwrap_err();
        assert_eq!(refusal.code(), "run-lease-unfinished");
        assert!(refusal.to_string().contains("lifeboat resume dr-003-a"), "{refusal}");
        assert_eq!(code(Lease::take(folder.path(), RESOURCE, &a, |_| false)), "taken", "its own run goes on");
        assert_eq!(code(Lease::take(folder.path(), RESOURCE, &b, |_| true)), "taken", "it has ended since");
    }

    #[test]
    fn names_of_files_differ_as_their_resources_do() {
        assert_ne!(file_name("machine:a/b"), file_name("machine:a-b"));
        assert!(file_name("machine:/srv/ä").is_ascii());
    }
}
