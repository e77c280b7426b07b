//! The fence: what stands between a run that has lost a lease and everything that it would change.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use lifeboat_core::failure::Reason;

use super::{Lease, history};
use crate::invoke::Fence;

/// The leases of a session. One lost lease ends the writes of the whole run: it no longer knows what its targets look like.
#[derive(Debug)]
pub(crate) struct Held(Vec<Lease>);

impl Held {
    pub(crate) fn new(leases: Vec<Lease>) -> Self {
        Self(leases)
    }

    /// Gives every target free: the run is over.
    pub(crate) fn release(&self) {
        self.0.iter().for_each(Lease::release);
    }
}

impl Fence for Held {
    fn check(&self) -> Result<(), Reason> {
        self.0.iter().try_for_each(Lease::check)
    }
}

impl Lease {
    /// Whether the record with which it was taken is still the last one of its history.
    fn check(&self) -> Result<(), Reason> {
        let refused = |message: String| Err(Reason::new("run-lease-lost", message));
        match is_last(&self.path, &self.written) {
            Ok(true) => Ok(()),
            Ok(false) => refused(self.why_lost()),
            Err(error) => refused(format!(
                "cannot confirm that `{}` still belongs to this run: cannot read `{}`: {error}",
                self.record.resource,
                self.path.display()
            )),
        }
    }

    fn why_lost(&self) -> String {
        let records = history::read(&self.path).unwrap_or_default();
        records.loss(&self.run).map_or_else(
            || {
                let newest = records.last().map_or_else(|| "none".to_owned(), |last| last.token.to_string());
                format!(
                    "`{}` belongs to another holder: this one has the fencing token {}, the newest is {newest}",
                    self.record.resource, self.record.token
                )
            },
            |loss| loss.to_string(),
        )
    }
}

/// One look at the place where the record stands: it is there, and nothing is behind it.
fn is_last(path: &Path, written: &history::Written) -> io::Result<bool> {
    let file = File::open(path)?;
    let mut found = vec![0; written.line.len() + 1];
    let mut length = 0;
    while length < found.len() {
        match file.read_at(&mut found[length..], written.offset + length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found[..length] == written.line)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lifeboat_core::name::RunId;

    use super::{
        super::{Claim, Fate, take_over},
        *,
    };

    fn held(folder: &Path, name: &str, fate: Fate) -> Held {
        let run = RunId::new(name).unwrap();
        let take = |resource| Lease::take(folder, resource, &run, |_| fate.clone()).unwrap();
        Held::new(["postgres:1", "machine:local:/srv"].map(take).into())
    }

    #[track_caller]
    fn refusal(held: &Held) -> String {
        let reason = held.check().unwrap_err();
        assert_eq!(reason.code, "run-lease-lost");
        reason.message
    }

    #[test]
    fn whoever_lost_one_lease_can_change_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let first = held(folder.path(), "dr-003-a", Fate::Over);
        assert_eq!(first.check(), Ok(()));
        let claim =
            Claim { user: "alice".to_owned(), reason: "the machine burnt down".to_owned(), holder_is_dead: false };
        take_over(folder.path(), "machine:local:/srv", &claim, |_| Fate::Unfinished).unwrap();
        let message = refusal(&first);
        assert!(message.contains("`machine:local:/srv`") && message.contains("the machine burnt down"), "{message}");
        first.release();
        let second = held(folder.path(), "dr-003-b", Fate::Over);
        assert_eq!(second.check(), Ok(()));
        refusal(&first);
    }

    #[test]
    fn an_engine_that_came_back_is_fenced_off_by_the_one_that_resumed_its_run() {
        let folder = tempfile::tempdir().unwrap();
        let old = held(folder.path(), "dr-003-a", Fate::Over);
        let new = held(folder.path(), "dr-003-a", Fate::Unfinished);
        assert_eq!(new.check(), Ok(()));
        assert!(refusal(&old).contains("the fencing token 1, the newest is 2"), "{}", refusal(&old));
    }

    #[test]
    fn a_lease_that_cannot_be_read_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let held = held(folder.path(), "dr-003-a", Fate::Over);
        fs::remove_dir_all(folder.path()).unwrap();
        assert!(refusal(&held).contains("cannot confirm"), "{}", refusal(&held));
        fs::create_dir(folder.path()).unwrap();
        fs::write(&held.0[0].path, "").unwrap();
        refusal(&held);
    }
}
