//! A disk that is full: nothing counts that is not durable, and what was half written is gone.

use std::io::{self, ErrorKind};

use lifeboat_core::{
    event::Event,
    name::RunId,
    sketch::{chain, id, started},
};
use lifeboat_runtime::journal::{Journal, Medium, read};

/// A disk with so much room that writes what fits; its syncs and cuts fail where a test says so.
#[derive(Default)]
struct Disk {
    bytes: Vec<u8>,
    room: usize,
    sync_fails: bool,
    cut_fails: bool,
}

impl Medium for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fits = bytes.len().min(self.room - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.sync_fails { Err(io::Error::other("sync")) } else { Ok(()) }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        if self.cut_fails {
            return Err(io::Error::other("cut"));
        }
        self.bytes.truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

fn check(room_for_second: usize, sync_fails: bool, cut_fails: bool) {
    let run = RunId::new("dr-003-20261121-7f3a").unwrap();
    let at = "2026-11-21T03:00:00Z".parse().unwrap();
    let first = [Event::RunStarted(started(&chain(1), &run))];
    let mut measure = Journal::begin(Vec::new(), &run);
    measure.append(at, &first).unwrap();
    let length = measure.medium().len();

    let disk = Disk { room: length + room_for_second, sync_fails: false, cut_fails, ..Disk::default() };
    let mut journal = Journal::begin(disk, &run);
    journal.append(at, &first).unwrap();
    let end = journal.end().clone();
    let disk = Disk { bytes: journal.medium().bytes.clone(), room: length + room_for_second, sync_fails, cut_fails };
    let mut journal = Journal::go_on(disk, end.clone(), 0).unwrap();
    let step = id("step-0");
    let second = [Event::StepCancelled { step: step.clone() }, Event::StepUndone { step }];
    journal.append(at, &second).unwrap_err();

    assert_eq!(*journal.end(), end, "room {room_for_second}");
    let contents = read(&journal.medium().bytes).unwrap();
    if !cut_fails {
        assert_eq!((contents.records.len(), contents.torn_bytes), (1, 0), "room {room_for_second}");
    }
}

#[test]
fn a_full_disk_leaves_the_journal_as_it_was() {
    for room in 0..300 {
        check(room, false, false);
        check(room, false, true);
    }
    check(10_000, true, false);
    check(10_000, true, true);
}
