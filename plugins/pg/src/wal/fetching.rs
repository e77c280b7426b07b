//! An archive that keeps its segments in another form, compressed or in folders of their own, read as if they lay plain and side
//! by side: the `restore_command` of the binding fetches what is read, into a folder of the call's own, when it is read.
//!
//! [`Fetching`] stands between an action and the machine: it lists such an archive under the names that PostgreSQL gives its files,
//! and leads `pg_waldump` and every reading of a file to what was fetched. Only `pg/restore` knows about it, because its server
//! needs its own files.

mod delegate;
mod listing;

pub use listing::is_segment;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

use lifeboat_plugin::{
    Machine, Reason, Runtime,
    machine::{Entry, EntryKind, Error},
};

use crate::wal::{
    header::{self, HEADER_BYTES},
    segment::{Segment, SegmentSize},
};

/// The folder of a binding below which the call's own lies.
const WORK: &str = "work";
/// What was fetched stays for the next reading, up to this many bytes; then the oldest is removed.
const KEPT_BYTES: u64 = 4 << 30;
/// Readings that may still go on: what they read stays.
const READINGS: usize = 8;
/// How many files one call of the machine fetches.
pub const AT_ONCE: usize = 16;
/// How much stays free on the machine's disk.
pub const FREE_BYTES: u64 = 64 << 20;

/// Capabilities with which such archives are read like others.
pub struct Fetching<'a, C> {
    inner: &'a C,
    /// By machine and path.
    archives: RefCell<BTreeMap<(String, String), Rc<Fetched>>>,
}

/// One such archive.
struct Fetched {
    /// The folder of the binding.
    folder: String,
    /// Where it lies.
    path: String,
    /// Of its segments, as soon as one was read.
    size: Cell<Option<SegmentSize>>,
    /// Its files, under PostgreSQL's names.
    names: RefCell<BTreeSet<String>>,
    /// What was fetched, oldest first.
    here: RefCell<VecDeque<String>>,
    /// Where it lies.
    into: RefCell<String>,
    /// What the last programs read.
    readings: RefCell<VecDeque<BTreeSet<String>>>,
}

impl<'a, C: Machine + Runtime> Fetching<'a, C> {
    /// Around these.
    pub fn around(inner: &'a C) -> Self {
        Self { inner, archives: RefCell::default() }
    }

    fn at(&self, machine: &str, path: &str) -> Option<Rc<Fetched>> {
        self.archives.borrow().get(&(machine.to_owned(), path.to_owned())).cloned()
    }

    /// Remembers the archive of a binding where a command fetches its files.
    fn meet(&self, machine: &str, folder: &str, path: &str) -> Result<(), Error> {
        let key = (machine.to_owned(), path.to_owned());
        if folder == WORK || self.archives.borrow().contains_key(&key) || !self.inner.is_fetched(machine, folder)? {
            return Ok(());
        }
        let archive = Fetched {
            folder: folder.to_owned(),
            path: path.to_owned(),
            size: Cell::new(None),
            names: RefCell::default(),
            here: RefCell::default(),
            into: RefCell::default(),
            readings: RefCell::default(),
        };
        self.archives.borrow_mut().insert(key, Rc::new(archive));
        Ok(())
    }

    /// Its files under the names that PostgreSQL gives them. A segment has the size of a whole one: which one really has, shows
    /// when it is fetched.
    fn list(&self, machine: &str, archive: &Fetched) -> Result<Vec<Entry>, Error> {
        let mut entries = listing::walk(self.inner, machine, &archive.path)?;
        *archive.names.borrow_mut() = entries.keys().cloned().collect();
        let segments = || entries.keys().filter(|name| listing::is_segment(name));
        if archive.size.get().is_none()
            && let (Some(oldest), Some(newest)) = (segments().next().cloned(), segments().next_back().cloned())
        {
            // A damaged one is reported if it is needed; other readings may not need it.
            let size = self.size(machine, archive, &newest);
            archive.size.set(Some(size.or_else(|error| self.size(machine, archive, &oldest).map_err(|_| error))?));
        }
        let bytes = archive.size.get().map_or(0, SegmentSize::bytes);
        entries.iter_mut().filter(|(name, _)| listing::is_segment(name)).for_each(|(_, entry)| entry.size = bytes);
        Ok(entries.into_values().collect())
    }

    /// The size of segments, as one of them says.
    fn size(&self, machine: &str, archive: &Fetched, name: &str) -> Result<SegmentSize, Error> {
        self.fetch_missing(machine, archive, &[name.to_owned()])?;
        let path = archive.into.borrow().clone();
        let heads = match self.inner.read_parts(machine, &path, &[name.to_owned()], 0, HEADER_BYTES) {
            // It ends before its header does.
            Err(Error::Failed(_)) => Vec::new(),
            heads => heads?,
        };
        let header = heads.first().and_then(|head| header::parse(head));
        header.and_then(|header| SegmentSize::new(header.segment_bytes.into())).ok_or_else(|| {
            let what = format!(
                "{}/{name}: its restore_command fetches something that does not begin like a WAL segment",
                archive.path
            );
            failed("pg-wal-damaged", what)
        })
    }

    /// Fetches what is there of these names and was not fetched yet; gives where it lies.
    fn provide(&self, machine: &str, archive: &Fetched, names: &[String]) -> Result<String, Error> {
        let known = |name: &&String| archive.names.borrow().contains(*name) && !archive.here.borrow().contains(*name);
        let missing: Vec<String> = names.iter().filter(known).cloned().collect();
        self.make_room(machine, archive, names, missing.len())?;
        for (done, some) in missing.chunks(AT_ONCE).enumerate() {
            self.fetch_missing(machine, archive, some)?;
            let done = (done * AT_ONCE + some.len()) as u64;
            self.inner.progress(done, Some(missing.len() as u64), "files", "fetching WAL by the restore_command");
        }
        if archive.into.borrow().is_empty() {
            // Nothing to fetch: the programs say themselves what is not there.
            return Ok(archive.path.clone());
        }
        Ok(archive.into.borrow().clone())
    }

    fn fetch_missing(&self, machine: &str, archive: &Fetched, names: &[String]) -> Result<(), Error> {
        let fetched = self.inner.fetch(machine, &archive.folder, names, None).map_err(|error| told(archive, error))?;
        archive.into.borrow_mut().clone_from(&fetched.path);
        archive.check_sizes(names, &fetched.sizes)?;
        let mut here = archive.here.borrow_mut();
        let new: Vec<String> = names.iter().filter(|name| !here.contains(name)).cloned().collect();
        here.extend(new);
        Ok(())
    }

    /// Removes the oldest fetched files that nothing reads any more, and refuses what does not fit on the disk.
    fn make_room(&self, machine: &str, archive: &Fetched, wanted: &[String], more: usize) -> Result<(), Error> {
        let bytes = archive.size.get().map_or(0, SegmentSize::bytes);
        if more == 0 || bytes == 0 {
            return Ok(());
        }
        let most = usize::try_from(KEPT_BYTES / bytes).unwrap_or(usize::MAX);
        let surplus = (archive.here.borrow().len() + more).saturating_sub(most);
        let in_use = |name: &String| {
            wanted.contains(name) || archive.readings.borrow().iter().any(|reading| reading.contains(name))
        };
        let old: Vec<String> =
            archive.here.borrow().iter().filter(|name| !in_use(name)).take(surplus).cloned().collect();
        if !old.is_empty() {
            self.inner.discard(machine, &old)?;
            archive.here.borrow_mut().retain(|name| !old.contains(name));
        }
        let work = self.inner.folder(machine, WORK)?;
        let (free, needed) = (self.inner.free_space(machine, &work)?, bytes * more as u64);
        if free < needed.saturating_add(FREE_BYTES) {
            let what = "WAL that is fetched from";
            let what = format!(
                "{more} segments of {what} {} need {needed} bytes in {work}, and {free} are free",
                archive.path
            );
            return Err(Error::NoSpace(what));
        }
        Ok(())
    }

    /// The arguments of a pg_waldump over such an archive, with what it reads fetched; none where it reads something else.
    fn redirected(&self, machine: &str, program: &str, arguments: &[String]) -> Result<Option<Vec<String>>, Error> {
        let place = arguments.iter().position(|argument| argument == "-p").map(|option| option + 1);
        let [.., first, last] = arguments else { return Ok(None) };
        let Some(place) = place.filter(|place| program == "pg_waldump" && *place < arguments.len()) else {
            return Ok(None);
        };
        let Some(archive) = self.at(machine, &arguments[place]) else { return Ok(None) };
        let names = archive.between(first, last);
        let into = self.provide(machine, &archive, &names)?;
        let mut readings = archive.readings.borrow_mut();
        readings.push_back(names.into_iter().collect());
        if readings.len() > READINGS {
            readings.pop_front();
        }
        let mut arguments = arguments.to_vec();
        arguments[place] = into;
        Ok(Some(arguments))
    }
}

impl Fetched {
    /// The names of the segments from one to another, both of one timeline.
    fn between(&self, first: &str, last: &str) -> Vec<String> {
        let ends = self.size.get().and_then(|size| {
            Some((size, Segment::parse(first, size)?, Segment::parse(last, size).filter(|it| it.timeline > 0)?))
        });
        let Some((size, first, last)) = ends else { return vec![first.to_owned(), last.to_owned()] };
        let name = |number| Segment { number, timeline: first.timeline }.name(size);
        (first.number..=last.number).map(name).collect()
    }

    fn check_sizes(&self, names: &[String], sizes: &[u64]) -> Result<(), Error> {
        let Some(size) = self.size.get() else { return Ok(()) };
        for (name, bytes) in names.iter().zip(sizes).filter(|(name, _)| listing::is_segment(name)) {
            if *bytes != size.bytes() {
                return Err(short(&self.path, name, size, *bytes));
            }
        }
        Ok(())
    }
}

/// A fetched segment that is not whole.
pub fn short(archive: &str, name: &str, size: SegmentSize, bytes: u64) -> Error {
    let whole = size.bytes();
    let from = Segment::parse(name, size).map_or(String::new(), |segment| format!(" (from {})", segment.start(size)));
    let what = format!(
        "the restore_command fetched {bytes} bytes of segment {name}{from} from {archive}, but a segment has {whole}"
    );
    failed("pg-wal-damaged", what)
}

/// A command that failed, as the failure of an archive.
fn told(archive: &Fetched, error: Error) -> Error {
    match error {
        Error::Failed(reason) if reason.code == "machine-fetch" => {
            failed("pg-wal-unreadable", format!("{}: {}", archive.path, reason.message))
        }
        other => other,
    }
}

fn failed(code: &str, message: String) -> Error {
    Error::Failed(Reason::new(code, message))
}

/// Whether an entry is a folder.
fn is_folder(entry: &Entry) -> bool {
    entry.kind == EntryKind::Folder
}
