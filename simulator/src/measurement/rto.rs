//! RTO: from the user's side, split into detection, decision and procedure.

use jiff::SignedDuration;
use lifeboat_core::plan::Clock as ObjectiveClock;

use super::{
    Interval, Verdict,
    missing::Missing,
    objective::{judge, undecided},
    outage::{Bracket, Outage, Stability},
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

/// The measured RTO. `None`: it could not be measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Rto {
    /// `t_stable − t_onset`.
    pub service: Option<Interval>,
    /// The time from the instant that the objective's clock names.
    pub judged: Option<Interval>,
    /// `t_stable − t_start`.
    pub procedure: Option<Interval>,
    /// `t_start − t_onset`.
    pub decision: Option<Interval>,
    /// `t_redundant − t_onset`.
    pub redundancy: Option<Interval>,
    /// The verdict on `judged`, compared with the objective.
    pub verdict: Verdict,
    /// What was missing, if the verdict is `unmeasured`.
    pub missing: Option<String>,
}

/// Measures the RTO.
pub fn rto(outage: &Outage, instants: &Instants, objective: Option<SignedDuration>, clock: ObjectiveClock) -> Rto {
    let (onset, stability, missing) = match outage {
        Outage::Unmeasured(missing) => (None, None, Some(*missing)),
        Outage::None { resolution } => return undisturbed(*resolution, objective),
        Outage::Seen { onset, stability, missing } => (Some(*onset), Some(*stability), *missing),
    };
    let to_stable = |from: Option<Bracket>| from.zip(stability).map(|(from, stability)| until_stable(from, stability));
    let (from, unknown) = match clock {
        ObjectiveClock::Onset => (onset, "there is no onset"),
        ObjectiveClock::Detect => (instants.detect.map(exact), "monitoring did not notice"),
        ObjectiveClock::Declare => (instants.declare.map(exact), "no disaster was declared"),
    };
    let judged = to_stable(from);
    let verdict = judge(judged, objective);
    let why = || missing.as_ref().map(Missing::to_string).or_else(|| from.is_none().then(|| unknown.to_owned()));
    Rto {
        service: to_stable(onset),
        judged,
        procedure: to_stable(instants.start.map(exact)),
        decision: onset.zip(instants.start).map(|(onset, start)| between(onset, exact(start))),
        redundancy: onset.zip(instants.redundant).map(|(onset, redundant)| between(onset, exact(redundant))),
        verdict,
        missing: (verdict == Verdict::Unmeasured).then(|| why().or_else(|| undecided(judged, objective))).flatten(),
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
        missing: undecided(zero, objective),
    }
}

fn until_stable(from: Bracket, stability: Stability) -> Interval {
    let low = stability.not_before.seconds_since(from.high);
    match stability.not_after {
        Some(not_after) => Interval::between(low, not_after.seconds_since(from.low)),
        None => Interval::more_than(low),
    }
}

fn exact(at: At) -> Bracket {
    Bracket { low: at, point: at, high: at }
}

fn between(from: Bracket, to: Bracket) -> Interval {
    Interval::between(to.low.seconds_since(from.high), to.high.seconds_since(from.low))
}
