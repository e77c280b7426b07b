//! The outage as the probes saw it: its onset and the start of the first stable window after it.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::probe::{Probe, ProbeKind};
use crate::clock::At;

/// What a stable window is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StabilityRule {
    /// How long every probe must be good.
    pub window: SignedDuration,
    /// A slower probe is not good.
    pub slowest: SignedDuration,
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
    /// There are too few probes to say anything.
    Unmeasured,
    /// Every probe was good; an outage shorter than `resolution` (seconds) could have been missed.
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
pub fn outage(probes: &[Probe], rule: &StabilityRule) -> Outage {
    let mut lanes: BTreeMap<ProbeKind, Vec<(&Probe, bool)>> = BTreeMap::new();
    for probe in probes {
        lanes.entry(probe.kind).or_default().push((probe, is_good(probe, rule)));
    }
    for lane in lanes.values_mut() {
        lane.sort_by_key(|(probe, _)| (probe.started, probe.ended));
    }
    let Some(observed_until) = probes.iter().map(|probe| probe.ended).max() else { return Outage::Unmeasured };
    match (first_bad(&lanes), onset(&lanes)) {
        (None, _) => undisturbed(&lanes, rule),
        (Some(_), None) => Outage::Unmeasured,
        (Some(_), Some(onset)) => {
            Outage::Seen { onset, stable: stable(&lanes, rule, onset, observed_until), observed_until }
        }
    }
}

type Lanes<'a> = BTreeMap<ProbeKind, Vec<(&'a Probe, bool)>>;

fn is_good(probe: &Probe, rule: &StabilityRule) -> bool {
    probe.ok && probe.ended <= probe.started + rule.slowest
}

fn first_bad<'a>(lanes: &Lanes<'a>) -> Option<&'a Probe> {
    bad(lanes).min_by_key(|probe| (probe.ended, probe.started))
}

fn bad<'a>(lanes: &Lanes<'a>) -> impl Iterator<Item = &'a Probe> {
    lanes.values().flatten().filter(|(_, good)| !good).map(|(probe, _)| *probe)
}

/// An onset needs a good probe of the same kind before the failed one: a service that was never seen healthy has none.
fn onset(lanes: &Lanes<'_>) -> Option<Bracket> {
    let first = first_bad(lanes)?;
    let last_good = lanes
        .get(&first.kind)?
        .iter()
        .filter(|(probe, good)| *good && probe.started < first.started)
        .max_by_key(|(probe, _)| probe.ended)?
        .0;
    let high = first.ended;
    Some(Bracket { low: last_good.started, point: last_good.ended.min(high), high })
}

fn undisturbed(lanes: &Lanes<'_>, rule: &StabilityRule) -> Outage {
    let enough = !lanes.is_empty() && lanes.values().all(|lane| lane.len() >= rule.probes_at_least.max(2));
    if !enough {
        return Outage::Unmeasured;
    }
    let gaps =
        lanes.values().flat_map(|lane| lane.windows(2).map(|pair| pair[1].0.ended.seconds_since(pair[0].0.started)));
    Outage::None { resolution: gaps.fold(0.0, f64::max) }
}

/// After each failed probe a window may begin: it holds if nothing fails within it and every kind has enough good probes.
fn stable(lanes: &Lanes<'_>, rule: &StabilityRule, onset: Bracket, observed_until: At) -> Option<Bracket> {
    let mut failed: Vec<&Probe> = bad(lanes).collect();
    failed.sort_by_key(|probe| probe.ended);
    failed.iter().find_map(|last| {
        let start = window_start(lanes, last.ended)?;
        let end = start.high + rule.window;
        let quiet = !failed.iter().any(|probe| probe.ended > last.ended && probe.started <= end);
        let holds = quiet && end <= observed_until && has_enough(lanes, rule, start.high, end);
        holds.then_some(Bracket { low: start.low.max(onset.low), point: start.point, high: start.high })
    })
}

/// The service is back when each kind that had failed by `until` has had a good probe again.
fn window_start(lanes: &Lanes<'_>, until: At) -> Option<Bracket> {
    let mut back: Option<Bracket> = None;
    for lane in lanes.values() {
        let Some((last_bad, _)) = lane.iter().rfind(|(probe, good)| !good && probe.ended <= until) else { continue };
        let first_good = lane.iter().find(|(probe, good)| *good && probe.started > last_bad.started)?.0;
        let recovered = Bracket { low: last_bad.started, point: first_good.ended, high: first_good.ended };
        back = Some(back.map_or(recovered, |other| Bracket {
            low: other.low.max(recovered.low),
            point: other.point.max(recovered.point),
            high: other.high.max(recovered.high),
        }));
    }
    back
}

fn has_enough(lanes: &Lanes<'_>, rule: &StabilityRule, start: At, end: At) -> bool {
    lanes.values().all(|lane| {
        let within = lane.iter().filter(|(probe, good)| *good && probe.ended >= start && probe.ended <= end);
        within.count() >= rule.probes_at_least
    })
}
