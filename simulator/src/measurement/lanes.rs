//! The probes by kind, indexed by time.

use std::collections::BTreeMap;

use super::probe::{Probe, ProbeKind};
use crate::clock::At;

/// The probes by kind in the order in which they were made, and which of the failed ones count.
pub(super) struct Lanes<'a> {
    kinds: BTreeMap<ProbeKind, Lane<'a>>,
    /// By their starts.
    failed: Vec<&'a Probe>,
    /// The latest end among the failed probes up to each index.
    latest: Vec<At>,
    observed_until: At,
}

#[derive(Default)]
struct Lane<'a> {
    probes: Vec<&'a Probe>,
    /// The ends of the good ones, sorted.
    good: Vec<At>,
    /// By their ends: whether the youngest probe that had ended at that instant had failed.
    down: Vec<(At, bool)>,
}

impl<'a> Lanes<'a> {
    /// `since`: a failed probe that had ended at that instant does not count. `None` if there is no probe at all.
    pub(super) fn of(probes: &'a [Probe], since: At) -> Option<Self> {
        let observed_until = probes.iter().map(|probe| probe.ended).max()?;
        let is_bad = |probe: &Probe| !probe.ok && probe.ended >= since;
        let mut by_kind: BTreeMap<ProbeKind, Vec<&Probe>> = BTreeMap::new();
        for probe in probes {
            by_kind.entry(probe.kind).or_default().push(probe);
        }
        let kinds = by_kind.into_iter().map(|(kind, probes)| (kind, Lane::of(probes, is_bad))).collect();
        let mut failed: Vec<&Probe> = probes.iter().filter(|probe| is_bad(probe)).collect();
        failed.sort_by_key(|probe| (probe.started, probe.ended, probe.kind));
        let mut latest: Vec<At> = failed.iter().map(|probe| probe.ended).collect();
        for place in 1..latest.len() {
            latest[place] = latest[place].max(latest[place - 1]);
        }
        Some(Self { kinds, failed, latest, observed_until })
    }

    /// The probes of a kind, in the order of their starts.
    pub(super) fn of_kind(&self, kind: ProbeKind) -> &[&'a Probe] {
        self.kinds.get(&kind).map_or(&[], |lane| &lane.probes)
    }

    /// The failed probe that ended first.
    pub(super) fn first_bad(&self) -> Option<&'a Probe> {
        self.failed.iter().copied().min_by_key(|probe| (probe.ended, probe.started, probe.kind))
    }

    /// The failed probes by their starts.
    pub(super) fn failed(&self) -> &[&'a Probe] {
        &self.failed
    }

    /// The end of the failed probe that ended last.
    pub(super) fn last_failure(&self) -> At {
        self.latest.last().copied().unwrap_or(At(i64::MIN))
    }

    /// The end of the last probe.
    pub(super) fn observed_until(&self) -> At {
        self.observed_until
    }

    /// The ends of good probes from that instant on, sorted.
    pub(super) fn ends_of_good(&self, from: At) -> Vec<At> {
        let ends = self.kinds.values().flat_map(|lane| &lane.good).copied().filter(|end| *end >= from);
        let mut ends: Vec<At> = ends.collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// Whether a failed probe was under way between the two, the last instant included.
    pub(super) fn fails_between(&self, from: At, until: At) -> bool {
        let begun = self.failed.partition_point(|probe| probe.started <= until);
        begun.checked_sub(1).is_some_and(|last| self.latest[last] > from)
    }

    /// Whether the last probe of each kind that had ended at that instant was good. A kind without such a probe does not count.
    pub(super) fn are_well(&self, at: At) -> bool {
        let is_down = |lane: &Lane<'_>| {
            let ended = lane.down.partition_point(|(end, _)| *end <= at);
            ended.checked_sub(1).is_some_and(|last| lane.down[last].1)
        };
        !self.kinds.values().any(is_down)
    }

    /// How many good probes of the kind ended between the two, both included.
    pub(super) fn good_between(&self, kind: ProbeKind, from: At, until: At) -> usize {
        let Some(lane) = self.kinds.get(&kind) else { return 0 };
        lane.good.partition_point(|end| *end <= until) - lane.good.partition_point(|end| *end < from)
    }
}

impl<'a> Lane<'a> {
    fn of(mut probes: Vec<&'a Probe>, is_bad: impl Fn(&Probe) -> bool) -> Self {
        // Of two probes with the same time the failed one counts as the later one: the order of the log must not matter.
        probes.sort_by_key(|probe| (probe.started, probe.ended, !probe.ok));
        let mut good: Vec<At> = probes.iter().filter(|probe| probe.ok).map(|probe| probe.ended).collect();
        good.sort_unstable();
        let mut by_end: Vec<&Probe> = probes.clone();
        by_end.sort_by_key(|probe| (probe.ended, probe.started, !probe.ok));
        let mut youngest: Option<&Probe> = None;
        let mut down = Vec::with_capacity(by_end.len());
        for probe in by_end {
            if youngest.is_none_or(|other| (probe.started, !probe.ok) >= (other.started, !other.ok)) {
                youngest = Some(probe);
            }
            down.push((probe.ended, youngest.is_some_and(&is_bad)));
        }
        Self { probes, good, down }
    }
}
