//! The WAL of a copy whose archive is read through a `restore_command`: its server cannot reach outside its folder, so the WAL
//! that it replays is fetched into that folder before it starts, and is removed with it.

use lifeboat_plugin::{Failure, Machine, Runtime, machine::Error};

use crate::{
    copy::choice::Choice,
    wal::{
        archive::Archive,
        fetching::{AT_ONCE, FREE_BYTES, is_segment, short},
        segment::{Segment, SegmentSize},
        timeline,
    },
};

/// Beside the copy's data.
pub const FOLDER: &str = "wal";

/// What is fetched for a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnWal {
    /// The destination.
    pub path: String,
    /// The folder of the binding.
    folder: String,
    /// The archive's path.
    archive: String,
    size: SegmentSize,
    names: Vec<String>,
}

impl OwnWal {
    /// What the copy needs; none where its server reads the archive itself. Makes the folder.
    pub fn plan<C: Machine>(
        caps: &C,
        machine: &str,
        folder: &str,
        (archive, choice): (&Archive, &Choice),
        own: &str,
    ) -> Result<Option<Self>, Failure> {
        if !caps.is_fetched(machine, folder)? {
            return Ok(None);
        }
        let size = archive.segment_size;
        let mut names: Vec<String> = choice.segments.iter().map(|segment| segment.name(size)).collect();
        // The record of the target may end in the segment after the last one.
        let next = choice.segments.last().map(|last| choice.chain.segment(last.number + 1, size));
        names.extend(next.filter(|next: &Segment| archive.segments.contains(next)).map(|next| next.name(size)));
        let history = timeline::history_file(choice.chain.timeline());
        if choice.chain.timeline() > 1 && caps.list_folder(machine, &archive.path)?.iter().any(|it| it.name == history)
        {
            names.push(history);
        }
        let path = format!("{own}/{FOLDER}");
        caps.create_folder(machine, &path)?;
        Ok(Some(Self { path, folder: folder.to_owned(), archive: archive.path.clone(), size, names }))
    }

    /// Fetches it. Fails with `pg-no-space` before the disk is full.
    pub fn fetch<C: Machine + Runtime>(&self, caps: &C, machine: &str) -> Result<(), Failure> {
        let free = caps.free_space(machine, &self.path)?;
        let needed = self.size.bytes() * self.names.len() as u64;
        if free < needed + FREE_BYTES {
            let message = format!(
                "the copy replays {} segments, which are fetched from {} first: that takes {needed} bytes in {}, and \
                 {free} are free",
                self.names.len(),
                self.archive,
                self.path
            );
            return Err(Failure::permanent("pg-no-space", message));
        }
        for (done, names) in self.names.chunks(AT_ONCE).enumerate() {
            let fetched =
                caps.fetch(machine, &self.folder, names, Some(&self.path)).map_err(|error| self.told(error))?;
            for (name, bytes) in names.iter().zip(fetched.sizes).filter(|(name, _)| is_segment(name)) {
                if bytes != self.size.bytes() {
                    return Err(short(&self.archive, name, self.size, bytes).into());
                }
            }
            let done = (done * AT_ONCE + names.len()) as u64;
            caps.progress(done, Some(self.names.len() as u64), "files", "fetching WAL by the restore_command");
        }
        Ok(())
    }

    fn told(&self, error: Error) -> Failure {
        match error {
            Error::NoSpace(what) => Failure::permanent("pg-no-space", format!("the disk of the copy is full: {what}")),
            Error::Failed(reason) if reason.code == "machine-fetch" => {
                Failure::permanent("pg-wal-unreadable", format!("{}: {}", self.archive, reason.message))
            }
            other => other.into(),
        }
    }
}
