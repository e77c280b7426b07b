//! The outage as the probes saw it: its onset, and when the service was stable again.
//!
//! Two questions are kept apart, because they need different evidence. *Not before*: a failed probe proves that the service was
//! down at some moment during the probe, so no stable window can contain the whole probe. *Not after*: a window proves that the
//! service was stable only if it contains enough good probes and no failed one. A probe that was never made proves nothing in
//! either direction, so a machine that is too busy to probe widens the bounds but never makes the service look worse.

use jiff::SignedDuration;

use super::{
    lanes::Lanes,
    missing::Missing,
    probe::{Probe, ProbeKind},
};
use crate::clock::At;

/// The definition of a stable window. The prober decides whether a single probe is good: a late answer is a failure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StabilityRule {
    /// How long every probe must be good.
    pub window: SignedDuration,
    /// The window must contain this many good probes of each kind.
    pub probes_at_least: usize,
}

/// An instant that is known only to be between two probes. `point` is the instant that the definitions name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bracket {
    /// Not before.
    pub low: At,
    /// By definition.
    pub point: At,
    /// Not after.
    pub high: At,
}

/// When the service was stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stability {
    /// Not before: every window that begins earlier contains a whole failed probe.
    pub not_before: At,
    /// The start of the first window that is proven, which the definitions call `t_stable`.
    pub first: Option<At>,
    /// Not after: the start of the first proven window after which no probe failed. Later than `first` only if the service failed
    /// again while it was still watched.
    pub not_after: Option<At>,
}

/// What the probes say about the service.
#[derive(Debug, Clone, PartialEq)]
pub enum Outage {
    /// There are too few probes for a result, none saw the fault, or the service was not healthy when the fault struck.
    Unmeasured(Missing),
    /// There was no fault and every probe was good; an outage shorter than `resolution` (seconds) could have been missed.
    None {
        /// The longest time between two probes of a kind.
        resolution: f64,
    },
    /// A probe failed.
    Seen {
        /// The end of the last good probe before the first failed one.
        onset: Bracket,
        /// When it was over.
        stability: Stability,
        /// What is missing if `stability` has no upper bound.
        missing: Option<Missing>,
    },
}

/// Finds the outage. The order of the probes does not matter.
///
/// `fault` is when the fault began, which the injector knows: a probe that had ended before cannot have seen it, so it counts
/// neither for the onset nor for the stable window. Without a fault every failed probe is an outage.
pub fn outage(probes: &[Probe], rule: &StabilityRule, fault: Option<At>) -> Outage {
    let Some(lanes) = Lanes::of(probes, fault.unwrap_or(At(i64::MIN))) else {
        return Outage::Unmeasured(Missing::Probes);
    };
    match (lanes.first_bad(), fault) {
        (None, None) => undisturbed(&lanes, rule),
        (None, Some(_)) => Outage::Unmeasured(Missing::Sight),
        (Some(first), _) => match onset(&lanes, first) {
            Some(onset) => seen(&lanes, rule, onset),
            None => Outage::Unmeasured(Missing::HealthBefore { kind: first.kind }),
        },
    }
}

fn undisturbed(lanes: &Lanes<'_>, rule: &StabilityRule) -> Outage {
    let wanted = rule.probes_at_least.max(2);
    if let Some(few) = ProbeKind::ALL.into_iter().find(|kind| lanes.of_kind(*kind).len() < wanted) {
        let made = lanes.of_kind(few).len();
        return Outage::Unmeasured(Missing::GoodProbes { kind: few, made, wanted, window: None });
    }
    let gap = |pair: &[&Probe]| pair[1].ended.seconds_since(pair[0].started);
    let gaps = ProbeKind::ALL.into_iter().flat_map(|kind| lanes.of_kind(kind).windows(2).map(gap));
    Outage::None { resolution: gaps.fold(0.0, f64::max) }
}

/// An onset needs a good probe of the same kind right before the failed one: a service that was never seen healthy, or was
/// already down when the fault struck, has no onset.
fn onset(lanes: &Lanes<'_>, first: &Probe) -> Option<Bracket> {
    let last = lanes.of_kind(first.kind).iter().rfind(|probe| probe.started < first.started)?;
    let high = first.ended;
    last.ok.then(|| Bracket { low: last.started, point: last.ended.min(high), high })
}

fn seen(lanes: &Lanes<'_>, rule: &StabilityRule, onset: Bracket) -> Outage {
    let windows = Windows { lanes, rule };
    let starts = lanes.ends_of_good(onset.high);
    let first = starts.iter().copied().find(|start| windows.is_quiet(*start) && windows.is_proven(*start));
    let calm = lanes.last_failure();
    let not_after = starts.iter().copied().find(|start| *start >= calm && windows.is_proven(*start));
    let missing = match (first, not_after) {
        (_, Some(_)) => None,
        (Some(_), None) => Some(Missing::LastingStability),
        (None, None) => Some(windows.nearest(&starts)),
    };
    Outage::Seen {
        onset,
        stability: Stability { not_before: not_before(lanes, rule, onset), first, not_after },
        missing,
    }
}

/// The first instant at which no whole failed probe is in the window. Whether there were probes does not matter: a service that
/// was not watched may have been healthy.
fn not_before(lanes: &Lanes<'_>, rule: &StabilityRule, onset: Bracket) -> At {
    let failed = lanes.failed();
    // The earliest end among the failed probes from each index on.
    let mut ends: Vec<At> = failed.iter().map(|probe| probe.ended).collect();
    for place in (1..ends.len()).rev() {
        ends[place - 1] = ends[place - 1].min(ends[place]);
    }
    let fits = |start: At, place: usize| ends.get(place).is_none_or(|end| *end > start + rule.window);
    if fits(onset.low, failed.partition_point(|probe| probe.started < onset.low)) {
        return onset.low;
    }
    // A failed probe that began before the window may have failed before it too.
    let starts = failed.iter().map(|probe| probe.started).filter(|start| *start >= onset.low);
    let mut starts = starts.filter(|start| fits(*start, failed.partition_point(|probe| probe.started <= *start)));
    starts.next().unwrap_or(onset.high)
}

/// The windows that begin at good probes.
struct Windows<'a> {
    lanes: &'a Lanes<'a>,
    rule: &'a StabilityRule,
}

impl Windows<'_> {
    /// No failed probe reaches into it.
    fn is_quiet(&self, start: At) -> bool {
        !self.lanes.fails_between(start, start + self.rule.window)
    }

    /// The window was watched to its end, every kind was good at its start, and it contains enough good probes. The caller checks that no
    /// probe failed.
    fn is_proven(&self, start: At) -> bool {
        let (_, good) = self.fewest(start);
        start + self.rule.window <= self.lanes.observed_until()
            && self.lanes.are_well(start)
            && good >= self.rule.probes_at_least
    }

    /// The kind with the fewest good probes in the window, and how many.
    fn fewest(&self, start: At) -> (ProbeKind, usize) {
        let good = |kind: ProbeKind| (kind, self.lanes.good_between(kind, start, start + self.rule.window));
        let all = ProbeKind::ALL.map(good);
        all.into_iter().fold(all[0], |least, next| if next.1 < least.1 { next } else { least })
    }

    /// What was missing in the window that came closest to a proof.
    fn nearest(&self, starts: &[At]) -> Missing {
        let window = self.rule.window;
        let calm = starts.iter().copied().filter(|start| self.is_quiet(*start) && self.lanes.are_well(*start));
        let calm: Vec<At> = calm.collect();
        let watched = calm.iter().filter(|start| **start + window <= self.lanes.observed_until());
        let fullest = watched.map(|start| self.fewest(*start)).max_by_key(|(_, good)| *good);
        match (fullest, calm.first()) {
            (Some((kind, made)), _) => {
                Missing::GoodProbes { kind, made, wanted: self.rule.probes_at_least, window: Some(window) }
            }
            (None, Some(start)) => {
                Missing::Time { watched_s: self.lanes.observed_until().seconds_since(*start), window }
            }
            (None, None) => Missing::QuietWindow { window },
        }
    }
}
