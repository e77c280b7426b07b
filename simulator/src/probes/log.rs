//! What the probes saw so far, and the monitor's rule over it.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::{
    clock::At,
    measurement::{Probe, ProbeKind},
};

/// Every probe of a drill in the order in which they ended. Each is on disk as soon as it is known, so that the evidence exists
/// however the drill ends.
#[derive(Debug)]
pub struct ProbeLog {
    taken: Mutex<Taken>,
    count: watch::Sender<usize>,
}

#[derive(Debug)]
struct Taken {
    probes: Vec<Probe>,
    /// The file that stores them, or why they cannot be stored.
    file: io::Result<File>,
}

/// Monitoring noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detection {
    /// When the rule fired.
    pub at: At,
    /// The start of the last good probe of the lane: a responder's estimate of the earliest moment of the damage.
    pub last_good: At,
    /// Which lane.
    pub kind: ProbeKind,
}

impl ProbeLog {
    /// A new log in a new file of JSON lines.
    pub fn create(path: &Path) -> io::Result<Self> {
        let taken = Taken { probes: Vec::new(), file: Ok(File::create_new(path)?) };
        Ok(Self { taken: Mutex::new(taken), count: watch::Sender::new(0) })
    }

    /// Adds a probe.
    pub fn push(&self, probe: Probe) {
        let mut taken = self.taken();
        taken.keep(&probe);
        taken.probes.push(probe);
        let count = taken.probes.len();
        drop(taken);
        self.count.send_replace(count);
    }

    /// A copy of all probes.
    pub fn all(&self) -> Vec<Probe> {
        self.taken().probes.clone()
    }

    /// Waits until some lane has failed `in_a_row` times in a row since `since`.
    pub async fn detect(&self, since: At, in_a_row: usize) -> Detection {
        let mut count = self.count.subscribe();
        loop {
            if let Some(detection) = detect(&self.taken().probes, since, in_a_row) {
                return detection;
            }
            // The sender lives in `self`, so waiting cannot fail.
            drop(count.changed().await);
        }
    }

    /// Waits until the probes so far satisfy the condition, which is evaluated again after each probe.
    pub async fn wait_until(&self, mut reached: impl FnMut(&[Probe]) -> bool) {
        let mut count = self.count.subscribe();
        while !reached(&self.taken().probes) {
            drop(count.changed().await);
        }
    }

    /// Whether every probe is in the file, and the file is on disk.
    ///
    /// # Errors
    /// Why a probe could not be written.
    pub fn kept(&self) -> io::Result<()> {
        let mut taken = self.taken();
        match &taken.file {
            Ok(file) => file.sync_all(),
            Err(_) => std::mem::replace(&mut taken.file, Err(io::ErrorKind::Other.into())).map(drop),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// A file with a gap would be no evidence: after a line that could not be written, nothing more is written.
    fn keep(&mut self, probe: &Probe) {
        let Ok(file) = &mut self.file else { return };
        let line = serde_json::to_vec(probe).map_err(io::Error::from);
        let written = line.and_then(|mut line| {
            line.push(b'\n');
            file.write_all(&line)
        });
        if let Err(error) = written {
            self.file = Err(error);
        }
    }
}

/// Whether monitoring would now report a lane as down.
pub fn is_down(probes: &[Probe], in_a_row: usize) -> bool {
    detect(probes, At(i64::MIN), in_a_row).is_some()
}

fn detect(probes: &[Probe], since: At, in_a_row: usize) -> Option<Detection> {
    ProbeKind::ALL.into_iter().find_map(|kind| {
        let lane = || probes.iter().filter(move |probe| probe.kind == kind);
        let failed: Vec<&Probe> =
            lane().rev().take_while(|probe| !probe.ok && probe.ended >= since).take(in_a_row).collect();
        let last = failed.first().filter(|_| failed.len() == in_a_row)?;
        let last_good = lane().rfind(|probe| probe.ok).map_or(since, |probe| probe.started);
        Some(Detection { at: last.ended, last_good, kind })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_probe_is_on_disk_as_soon_as_it_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("probes.jsonl");
        let log = ProbeLog::create(&path).unwrap();
        let probe = Probe { kind: ProbeKind::Content, started: At(1), ended: At(2), ok: true, detail: None };
        log.push(probe.clone());
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<Probe>(&text).unwrap(), probe);
        log.kept().unwrap();
    }

    #[test]
    fn a_probe_that_can_not_be_kept_is_told() {
        let log = ProbeLog::create(Path::new("/dev/full"));
        assert!(log.is_err(), "only a new file is taken");
        let full = File::options().write(true).open("/dev/full").unwrap();
        let log =
            ProbeLog { taken: Mutex::new(Taken { probes: Vec::new(), file: Ok(full) }), count: watch::Sender::new(0) };
        log.push(Probe { kind: ProbeKind::Content, started: At(1), ended: At(2), ok: true, detail: None });
        assert_eq!(log.kept().unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(log.all().len(), 1);
    }

    #[test]
    fn monitoring_notices_after_so_many_failures_in_a_row() {
        let table =
            [("..x", None), ("..xx", None), ("..xxx", Some((5, 2))), (".xx.xxx", Some((7, 4))), ("xx.xx", None)];
        for (story, expected) in table {
            let probes: Vec<Probe> = story
                .chars()
                .zip(1..)
                .map(|(seen, at)| Probe {
                    kind: ProbeKind::Content,
                    started: At(at),
                    ended: At(at),
                    ok: seen == '.',
                    detail: None,
                })
                .collect();
            let found = detect(&probes, At(0), 3).map(|found| (found.at.0, found.last_good.0));
            assert_eq!(found, expected, "{story}");
        }
    }
}
