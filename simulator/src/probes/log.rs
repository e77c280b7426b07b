//! What the probes saw so far, and the monitor's rule over it.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::{
    clock::At,
    measurement::{Probe, ProbeKind},
};

/// Every probe of a drill in the order in which they ended.
#[derive(Debug)]
pub struct ProbeLog {
    probes: Mutex<Vec<Probe>>,
    count: watch::Sender<usize>,
}

/// Monitoring noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detection {
    /// When the rule fired.
    pub at: At,
    /// The start of the last good probe of the lane: what a responder takes for the earliest moment of the damage.
    pub last_good: At,
    /// Which lane.
    pub kind: ProbeKind,
}

impl Default for ProbeLog {
    fn default() -> Self {
        Self { probes: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl ProbeLog {
    /// Takes a probe.
    pub fn push(&self, probe: Probe) {
        let mut probes = self.probes();
        probes.push(probe);
        let count = probes.len();
        drop(probes);
        self.count.send_replace(count);
    }

    /// A copy of all probes.
    pub fn all(&self) -> Vec<Probe> {
        self.probes().clone()
    }

    /// Waits until some lane has failed `in_a_row` times in a row since `since`.
    pub async fn detect(&self, since: At, in_a_row: usize) -> Detection {
        let mut count = self.count.subscribe();
        loop {
            if let Some(detection) = detect(&self.probes(), since, in_a_row) {
                return detection;
            }
            // The sender lives in `self`, so waiting can not fail.
            drop(count.changed().await);
        }
    }

    /// Waits until the probes so far satisfy the caller; asked again after each probe.
    pub async fn wait_until(&self, mut reached: impl FnMut(&[Probe]) -> bool) {
        let mut count = self.count.subscribe();
        while !reached(&self.probes()) {
            drop(count.changed().await);
        }
    }

    /// Keeps the log as JSON lines.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for probe in self.probes().iter() {
            serde_json::to_writer(&mut file, probe)?;
            file.write_all(b"\n")?;
        }
        file.into_inner()?.sync_all()
    }

    fn probes(&self) -> MutexGuard<'_, Vec<Probe>> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
