//! PostgreSQL servers on this machine, found by their working directory rather than by remembered process numbers.
//!
//! Each process of a server has the data folder as its working directory. So this finds a testbed's own server, copies that a
//! runbook restored, and what a killed parent left behind, and nothing else.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long servers get for an immediate shutdown before they are killed.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// A process of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerProcess {
    pub(super) pid: u32,
    parent: u32,
}

/// The processes of all servers whose data folder lies below `folder`.
pub(super) fn below(folder: &Path) -> Vec<ServerProcess> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let process = Path::new("/proc").join(pid.to_string());
            let works_in = fs::read_link(process.join("cwd")).ok()?;
            let stat = fs::read_to_string(process.join("stat")).ok()?;
            let (name, rest) = stat.rsplit_once(')')?;
            let is_server = name.ends_with("(postgres") && works_in.starts_with(folder);
            let parent = rest.split_whitespace().nth(1)?.parse().ok()?;
            is_server.then_some(ServerProcess { pid, parent })
        })
        .collect()
}

/// Ends all servers below `folder` and waits for their end: first as `pg_ctl stop -m immediate` does, which releases shared
/// memory, then by killing them. Their data is about to be removed, so no checkpoint is needed.
pub(super) fn end_below(folder: &Path) {
    let all = below(folder);
    let first = all.iter().filter(|process| all.iter().all(|other| other.pid != process.parent));
    first.for_each(|process| signal(process, Signal::QUIT));
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if below(folder).is_empty() {
            return;
        }
        thread::sleep(POLL);
    }
    for process in below(folder) {
        signal(&process, Signal::KILL);
    }
    thread::sleep(POLL);
}

/// A process that has ended in the meantime needs no signal.
fn signal(process: &ServerProcess, signal: Signal) {
    if let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}
