//! The outage as the probes saw it: its onset and the start of the first stable window after it.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::probe::{Probe, ProbeKind};
use crate::clock::At;

/// What a stable window is. Whether a single probe is good is the prober's to say: one that answers too late has failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StabilityRule {
    /// How long every probe must be good.
    pub window: SignedDuration,
    /// So many good probes of each kind must lie in the window.
    pub probes_at_least: usize,
}

/// An instant that is known only to lie between two probes. `point` is the one the definitions name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bracket {
    /// Not before.
    pub low: At,
    /// By definition.
    pub point: At,
    /// Not after.
    pub high: At,
}

/// What the probes say of the service.
#[derive(Debug, Clone, PartialEq)]
pub enum Outage {
    /// There are too few probes to say anything, none saw the fault, or the service was not well when the fault came.
    Unmeasured,
    /// There was no fault and every probe was good; an outage shorter than `resolution` (seconds) could have been missed.
    None {
        /// The longest time between two probes of a kind.
        resolution: f64,
    },
    /// A probe failed.
    Seen {
        /// The end of the last good probe before the first failed one.
        onset: Bracket,
        /// The start of the first stable window; `None`: there was none.
        stable: Option<Bracket>,
        /// When the last probe ended: the outage lasted at least until here where `stable` is `None`.
        observed_until: At,
    },
}

/// Finds the outage. The order of the probes does not matter.
///
/// `fault` is when the fault began, which the injector knows: a probe that had ended by then can not have seen it, so neither
/// the onset nor the stable window are looked for among those. Without a fault every failed probe is an outage.
pub fn outage(probes: &[Probe], rule: &StabilityRule, fault: Option<At>) -> Outage {
    let mut lanes: BTreeMap<ProbeKind, Vec<&Probe>> = BTreeMap::new();
    for probe in probes {
        lanes.entry(probe.kind).or_default().push(probe);
    }
    for lane in lanes.values_mut() {
        lane.sort_by_key(|probe| (probe.started, probe.ended));
    }
    let Some(observed_until) = probes.iter().map(|probe| probe.ended).max() else { return Outage::Unmeasured };
    let seen = Seen { lanes, since: fault.unwrap_or(At(i64::MIN)) };
    match (seen.first_bad(), fault) {
        (None, None) => undisturbed(&seen.lanes, rule),
        (None, Some(_)) => Outage::Unmeasured,
        (Some(first), _) => seen.onset(first).map_or(Outage::Unmeasured, |onset| Outage::Seen {
            onset,
            stable: seen.stable(rule, onset, observed_until),
            observed_until,
        }),
    }
}

type Lanes<'a> = BTreeMap<ProbeKind, Vec<&'a Probe>>;

fn undisturbed(lanes: &Lanes<'_>, rule: &StabilityRule) -> Outage {
    let enough = !lanes.is_empty() && lanes.values().all(|lane| lane.len() >= rule.probes_at_least.max(2));
    if !enough {
        return Outage::Unmeasured;
    }
    let gaps = lanes.values().flat_map(|lane| lane.windows(2).map(|pair| pair[1].ended.seconds_since(pair[0].started)));
    Outage::None { resolution: gaps.fold(0.0, f64::max) }
}

/// The probes by kind in the order in which they were made, and from when on a failed one counts.
struct Seen<'a> {
    lanes: Lanes<'a>,
    since: At,
}

impl<'a> Seen<'a> {
    fn is_bad(&self, probe: &Probe) -> bool {
        !probe.ok && probe.ended >= self.since
    }

    fn bad(&self) -> impl Iterator<Item = &'a Probe> {
        self.lanes.values().flatten().copied().filter(|probe| self.is_bad(probe))
    }

    fn first_bad(&self) -> Option<&'a Probe> {
        self.bad().min_by_key(|probe| (probe.ended, probe.started))
    }

    /// An onset needs a good probe of the same kind right before the failed one: a service that was never seen healthy, or
    /// was down already when the fault came, has none.
    fn onset(&self, first: &Probe) -> Option<Bracket> {
        let last = self.lanes.get(&first.kind)?.iter().rfind(|probe| probe.started < first.started)?;
        let high = first.ended;
        last.ok.then(|| Bracket { low: last.started, point: last.ended.min(high), high })
    }

    /// After each failed probe a window may begin: it holds if nothing fails within it and every kind has enough good
    /// probes.
    fn stable(&self, rule: &StabilityRule, onset: Bracket, observed_until: At) -> Option<Bracket> {
        let mut failed: Vec<&Probe> = self.bad().collect();
        failed.sort_by_key(|probe| probe.ended);
        failed.iter().find_map(|last| {
            let start = self.window_start(last.ended)?;
            let end = start.high + rule.window;
            let quiet = !failed.iter().any(|probe| probe.ended > last.ended && probe.started <= end);
            let holds = quiet && end <= observed_until && self.has_enough(rule, start.high, end);
            holds.then_some(Bracket { low: start.low.max(onset.low), point: start.point, high: start.high })
        })
    }

    /// The service is back when each kind that had failed by `until` has had a good probe again.
    fn window_start(&self, until: At) -> Option<Bracket> {
        let mut back: Option<Bracket> = None;
        for lane in self.lanes.values() {
            let Some(last_bad) = lane.iter().rfind(|probe| self.is_bad(probe) && probe.ended <= until) else {
                continue;
            };
            let first_good = lane.iter().find(|probe| probe.ok && probe.started > last_bad.started)?;
            let recovered = Bracket { low: last_bad.started, point: first_good.ended, high: first_good.ended };
            back = Some(back.map_or(recovered, |other| Bracket {
                low: other.low.max(recovered.low),
                point: other.point.max(recovered.point),
                high: other.high.max(recovered.high),
            }));
        }
        back
    }

    fn has_enough(&self, rule: &StabilityRule, start: At, end: At) -> bool {
        self.lanes.values().all(|lane| {
            let within = lane.iter().filter(|probe| probe.ok && probe.ended >= start && probe.ended <= end);
            within.count() >= rule.probes_at_least
        })
    }
}
