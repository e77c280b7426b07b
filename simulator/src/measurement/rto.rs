//! RTO: from the user's side, with detection, decision and procedure told apart.

use jiff::SignedDuration;
use lifeboat_core::plan::Clock as ObjectiveClock;

use super::{
    interval::{Interval, Verdict, judge},
    outage::{Bracket, Outage},
};
use crate::clock::At;

/// The instants of a drill that do not come from the probes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Instants {
    /// Monitoring noticed.
    pub detect: Option<At>,
    /// The disaster was declared.
    pub declare: Option<At>,
    /// The engine's first step started.
    pub start: Option<At>,
    /// The engine says that the data is back.
    pub restored: Option<At>,
    /// First acknowledged write and good read after that on the application's path.
    pub first: Option<At>,
    /// Protection is re-established.
    pub redundant: Option<At>,
    /// First damaging operation, known to the injector.
    pub damage: Option<At>,
}

/// What was measured of the RTO. `None`: it could not be measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Rto {
    /// `t_stable − t_onset`.
    pub service: Option<Interval>,
    /// From the instant that the objective's clock names.
    pub judged: Option<Interval>,
    /// `t_stable − t_start`.
    pub procedure: Option<Interval>,
    /// `t_start − t_onset`.
    pub decision: Option<Interval>,
    /// `t_redundant − t_onset`.
    pub redundancy: Option<Interval>,
    /// `judged` against the objective.
    pub verdict: Verdict,
}

/// Measures the RTO.
pub fn rto(outage: &Outage, instants: &Instants, objective: Option<SignedDuration>, clock: ObjectiveClock) -> Rto {
    let (onset, stable, until) = match outage {
        Outage::Unmeasured => (None, None, None),
        Outage::None { resolution } => return undisturbed(*resolution, objective),
        Outage::Seen { onset, stable, observed_until } => (Some(*onset), *stable, Some(*observed_until)),
    };
    let to_stable = |from: Option<Bracket>| match (from, stable, until) {
        (Some(from), Some(stable), _) => Some(between(from, stable)),
        (Some(from), None, Some(until)) => Some(Interval::more_than(until.seconds_since(from.high))),
        _ => None,
    };
    let judged = match clock {
        ObjectiveClock::Onset => to_stable(onset),
        ObjectiveClock::Detect => to_stable(instants.detect.map(exact)),
        ObjectiveClock::Declare => to_stable(instants.declare.map(exact)),
    };
    Rto {
        service: to_stable(onset),
        judged,
        procedure: to_stable(instants.start.map(exact)),
        decision: onset.zip(instants.start).map(|(onset, start)| between(onset, exact(start))),
        redundancy: onset.zip(instants.redundant).map(|(onset, redundant)| between(onset, exact(redundant))),
        verdict: judge(judged, objective),
    }
}

/// No probe failed: nothing to recover from that the probes could have seen.
fn undisturbed(resolution: f64, objective: Option<SignedDuration>) -> Rto {
    let zero = Some(Interval::between(0.0, resolution));
    Rto {
        service: zero,
        judged: zero,
        procedure: None,
        decision: None,
        redundancy: None,
        verdict: judge(zero, objective),
    }
}

fn exact(at: At) -> Bracket {
    Bracket { low: at, point: at, high: at }
}

fn between(from: Bracket, to: Bracket) -> Interval {
    Interval::between(to.low.seconds_since(from.high), to.high.seconds_since(from.low))
}
