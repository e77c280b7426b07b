//! The evidence that the time before the fault must give. The drill waits for it and its checks evaluate it, with the same two functions.

use super::spec::{ProbeSpec, WorkloadSpec};
use crate::{
    clock::At,
    measurement::{Probe, ProbeKind},
};

/// What is wrong with the probes that ended between the two instants: one failed, or a kind was made less than half as often as
/// planned and so is no evidence.
pub(super) fn probes_missing(probes: &[Probe], from: At, until: At, spec: &ProbeSpec) -> Option<String> {
    let within: Vec<&Probe> = probes.iter().filter(|probe| probe.ended >= from && probe.ended < until).collect();
    let seconds = until.seconds_since(from);
    let wanted = ((seconds / spec.interval.as_secs_f64() / 2.0) as usize).max(1);
    let made = |kind: ProbeKind| within.iter().filter(|probe| probe.kind == kind).count();
    if let Some(bad) = within.iter().find(|probe| !probe.ok) {
        return Some(format!("{}: {}", bad.kind.title(), bad.detail.as_deref().unwrap_or("failed")));
    }
    let few = ProbeKind::ALL.into_iter().find(|kind| made(*kind) < wanted)?;
    Some(format!("{}: {} probes in {seconds:.1} s, at least {wanted} wanted", few.title(), made(few)))
}

/// Half of the scheduled writes are enough to see a loss; with fewer the load is not the one that the drill claims.
pub(super) fn writes_missing(acknowledged: usize, from: At, until: At, spec: &WorkloadSpec) -> Option<String> {
    let wanted = until.seconds_since(from) * f64::from(spec.writes_per_second) / 2.0;
    let enough = acknowledged > 0 && acknowledged as f64 >= wanted;
    (!enough).then(|| writes_seen(acknowledged, from, until, spec))
}

/// The number of writes, and the number that is needed.
pub(super) fn writes_seen(acknowledged: usize, from: At, until: At, spec: &WorkloadSpec) -> String {
    let seconds = until.seconds_since(from);
    let wanted = seconds * f64::from(spec.writes_per_second) / 2.0;
    format!("{acknowledged} writes acknowledged in {seconds:.1} s before the fault, at least {wanted:.0} wanted")
}
