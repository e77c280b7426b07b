//! How far a standby was behind: compares the heartbeats that it showed with those that the primary acknowledged.
//!
//! The lag at an instant is the time since the oldest acknowledged beat that the standby lacks, and 0 if it lacks none. A sighting of
//! the standby shows the newest beat that it has. So the lag was at most the time since that beat was sent; and at least the time
//! since a younger beat was acknowledged. The difference between the bounds comes from the interval of the beats.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use lifeboat_present::drill::{Interval, Verdict};
use serde::{Deserialize, Serialize};

use super::{
    objective::judge,
    probe::{Probe, ProbeKind},
};
use crate::clock::At;

/// The kinds of probe that beat, each in a lane of its name.
const BEATING: [ProbeKind; 2] = [ProbeKind::PooledWrite, ProbeKind::FreshWrite];

/// A look at a standby.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// The name of the standby.
    pub standby: String,
    /// When it was asked.
    pub started: At,
    /// When it answered.
    pub ended: At,
    /// The newest beat that it has of each lane, or why there is no answer.
    pub beats: Result<BTreeMap<String, At>, String>,
}

/// The limits for a standby in a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LagObjective {
    /// The lag is never longer.
    pub at_most: Option<SignedDuration>,
    /// The lag is as long as this at some time: the proof that what should slow it does.
    pub at_least: Option<SignedDuration>,
    /// The least number of sightings; with fewer the result is unmeasured.
    pub sightings: usize,
}

/// The measured lag of a standby in a period.
#[derive(Debug, Clone, PartialEq)]
pub struct Lag {
    /// The longest lag; `None` if there was no sighting.
    pub longest: Option<Interval>,
    /// The median lag.
    pub median: Option<Interval>,
    /// The number of sightings.
    pub sightings: usize,
    /// The verdict on the limits.
    pub verdict: Verdict,
    /// What was missing, if it is unmeasured.
    pub missing: Option<String>,
}

/// The lag of each of these sightings of one standby, in order. A sighting without an answer is no evidence.
pub fn lags(sightings: &[Sighting], probes: &[Probe]) -> Vec<(At, Interval)> {
    let acknowledged = BEATING.map(|kind| {
        let mut beats: Vec<(At, At)> = probes
            .iter()
            .filter(|probe| probe.ok && probe.kind == kind)
            .map(|probe| (probe.started, probe.ended))
            .collect();
        beats.sort_unstable();
        (kind, beats)
    });
    sightings.iter().filter_map(|sighting| Some((sighting.ended, lag(sighting, &acknowledged)?))).collect()
}

fn lag(sighting: &Sighting, acknowledged: &[(ProbeKind, Vec<(At, At)>)]) -> Option<Interval> {
    let seen = sighting.beats.as_ref().ok()?;
    // A lane of which the standby has no beat gives no upper bound; of two beats the younger one gives the tighter bound.
    let newest = acknowledged.iter().filter_map(|(kind, _)| seen.get(kind.title())).max()?;
    let lacks = |(kind, beats): &(ProbeKind, Vec<(At, At)>)| {
        let has = seen.get(kind.title()).copied().unwrap_or(At(i64::MIN));
        // The beats that were sent after the newest one that it has, and were acknowledged before it was asked.
        let after = beats.partition_point(|(sent, _)| *sent <= has);
        beats[after..].iter().map(|(_, ended)| *ended).filter(|ended| *ended < sighting.started).min()
    };
    let low = acknowledged.iter().filter_map(lacks).min().map_or(0.0, |lacked| sighting.started.seconds_since(lacked));
    Some(Interval::between(low, sighting.ended.seconds_since(*newest)))
}

/// The result of the lags in a period.
pub fn lag_of(lags: &[(At, Interval)], wanted: &LagObjective) -> Lag {
    let sightings = lags.len();
    let high = |interval: &Interval| interval.high.unwrap_or(f64::INFINITY);
    let most = |of: &dyn Fn(&Interval) -> f64| lags.iter().map(|(_, lag)| of(lag)).fold(0.0, f64::max);
    let longest = (sightings > 0).then(|| Interval::between(most(&|lag| lag.low), most(&high)));
    let mut sorted: Vec<Interval> = lags.iter().map(|(_, lag)| *lag).collect();
    sorted.sort_by(|one, other| high(one).total_cmp(&high(other)));
    let median = sorted.get(sightings / 2).copied();
    let (verdict, missing) = if sightings < wanted.sightings.max(1) {
        (Verdict::Unmeasured, Some(format!("the standby was seen {sightings} times, {} wanted", wanted.sightings)))
    } else {
        judged(longest, wanted)
    };
    Lag { longest, median, sightings, verdict, missing }
}

fn judged(longest: Option<Interval>, wanted: &LagObjective) -> (Verdict, Option<String>) {
    let measured = longest.map_or_else(String::new, |longest| longest.to_string());
    if let Some(at_least) = wanted.at_least
        && longest.is_none_or(|longest| longest.low < at_least.as_secs_f64())
    {
        let why = format!("the lag was {measured}, which does not prove a lag of {at_least:#}");
        return (Verdict::Unmeasured, Some(why));
    }
    let Some(at_most) = wanted.at_most else { return (Verdict::Met, None) };
    match judge(longest, Some(at_most)) {
        Verdict::Unmeasured => (
            Verdict::Unmeasured,
            Some(format!("the lag was {measured}, and the limit of {at_most:#} lies within that range")),
        ),
        judged => (judged, None),
    }
}

/// When a standby had caught up: the first sighting since `from` that shows a lag of `at_most`, as the time since `from`. If
/// there is no such sighting, the time is at least that of the last sighting that shows a longer lag.
pub fn caught_up(lags: &[(At, Interval)], from: At, at_most: SignedDuration) -> Option<Interval> {
    let at_most = at_most.as_secs_f64();
    let since: Vec<&(At, Interval)> = lags.iter().filter(|(at, _)| *at >= from).collect();
    let first = since.iter().position(|(_, lag)| lag.high.is_some_and(|high| high <= at_most));
    let before = since.iter().take(first.unwrap_or(since.len())).rfind(|(_, lag)| lag.low > at_most);
    let low = before.map_or(0.0, |(at, _)| at.seconds_since(from));
    match first {
        Some(first) => Some(Interval::between(low, since[first].0.seconds_since(from))),
        None => before.map(|_| Interval::more_than(low)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn beat(kind: ProbeKind, sent: i64, ended: i64, ok: bool) -> Probe {
        Probe { kind, started: At(sent), ended: At(ended), ok, detail: None }
    }

    fn sighting(at: i64, beat: i64) -> Sighting {
        let beats = BTreeMap::from([(ProbeKind::PooledWrite.title().to_owned(), At(beat))]);
        Sighting { standby: "west".to_owned(), started: At(at), ended: At(at + 1_000), beats: Ok(beats) }
    }

    fn each_tenth_of_a_second() -> Vec<Probe> {
        (0..100).map(|slot| beat(ProbeKind::PooledWrite, slot * 100_000, slot * 100_000 + 5_000, true)).collect()
    }

    #[test]
    fn the_lag_lies_between_what_it_has_and_what_it_lacks() {
        let probes = each_tenth_of_a_second();
        let lags = |sighting: Sighting| super::lags(&[sighting], &probes);
        // It has the newest beat: there is no proof that it lacks anything.
        assert_eq!(lags(sighting(1_050_000, 1_000_000))[0].1, Interval::between(0.0, 0.051));
        // It lacks the beat that was acknowledged at 1.105 s.
        assert_eq!(lags(sighting(3_000_000, 1_000_000))[0].1, Interval::between(1.895, 2.001));
        // A beat that was never acknowledged does not count as lacking.
        let refused: Vec<Probe> =
            probes.iter().cloned().map(|probe| Probe { ok: probe.started <= At(1_000_000), ..probe }).collect();
        assert_eq!(super::lags(&[sighting(3_000_000, 1_000_000)], &refused)[0].1, Interval::between(0.0, 2.001));
        let silent = Sighting { beats: Err("refused".to_owned()), ..sighting(3_000_000, 0) };
        assert!(lags(silent).is_empty());
        let ignorant = Sighting { beats: Ok(BTreeMap::new()), ..sighting(3_000_000, 0) };
        assert!(lags(ignorant).is_empty());
    }

    #[test]
    fn a_while_is_judged_by_its_longest_lag_and_by_enough_sightings() {
        let probes = each_tenth_of_a_second();
        let seen = [sighting(1_050_000, 1_000_000), sighting(3_000_000, 1_000_000), sighting(4_000_000, 3_900_000)];
        let lags = super::lags(&seen, &probes);
        let wanted = |at_most: Option<f64>, at_least: Option<f64>, sightings| {
            let length = |seconds: Option<f64>| seconds.map(SignedDuration::from_secs_f64);
            lag_of(&lags, &LagObjective { at_most: length(at_most), at_least: length(at_least), sightings }).verdict
        };
        assert_eq!(wanted(Some(2.1), None, 3), Verdict::Met);
        assert_eq!(wanted(Some(1.5), None, 3), Verdict::Missed);
        assert_eq!(wanted(Some(1.95), None, 3), Verdict::Unmeasured);
        assert_eq!(wanted(Some(2.1), None, 4), Verdict::Unmeasured, "too few sightings");
        assert_eq!(wanted(None, Some(1.8), 3), Verdict::Met);
        assert_eq!(wanted(None, Some(1.9), 3), Verdict::Unmeasured, "nothing shows that it was so long");
        assert_eq!(wanted(Some(1.5), Some(1.9), 3), Verdict::Unmeasured, "without the effect the rest says nothing");
        let none = lag_of(&[], &LagObjective { at_most: None, at_least: None, sightings: 0 });
        assert_eq!((none.verdict, none.longest), (Verdict::Unmeasured, None));
    }

    #[test]
    fn catching_up_ends_with_the_first_short_lag() {
        let probes = each_tenth_of_a_second();
        let seen = [sighting(3_000_000, 1_000_000), sighting(3_500_000, 2_000_000), sighting(4_000_000, 3_900_000)];
        let lags = super::lags(&seen, &probes);
        let second = SignedDuration::from_secs(1);
        assert_eq!(caught_up(&lags, At(2_500_000), second), Some(Interval::between(1.001, 1.501)));
        assert_eq!(caught_up(&lags[..2], At(2_500_000), second), Some(Interval::more_than(1.001)));
        assert_eq!(caught_up(&lags[2..], At(2_500_000), second), Some(Interval::between(0.0, 1.501)));
        assert_eq!(caught_up(&[], At(2_500_000), second), None);
    }

    proptest! {
        /// A standby that shows at each instant exactly what had been acknowledged `delay` before it is never measured to lag by
        /// less or more than that, whatever the schedule of the beats.
        #[test]
        fn the_interval_holds_the_true_lag(
            gaps in prop::collection::vec(10_000_i64..300_000, 20..60),
            took in 1_000_i64..9_000,
            delay in 0_i64..2_000_000,
            asked in 0_i64..3_000_000,
        ) {
            let sent: Vec<i64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let probes: Vec<Probe> =
                sent.iter().map(|at| beat(ProbeKind::FreshWrite, *at, at + took, true)).collect();
            let at = sent[0] + took + delay + asked;
            // What the standby has: the newest beat that was acknowledged by then.
            let Some(has) = sent.iter().rfind(|beat| **beat + took <= at - delay) else { return Ok(()) };
            let beats = BTreeMap::from([(ProbeKind::FreshWrite.title().to_owned(), At(*has))]);
            let seen = Sighting { standby: "west".to_owned(), started: At(at), ended: At(at), beats: Ok(beats) };
            let interval = lags(&[seen], &probes)[0].1;
            // The oldest acknowledged beat that it lacks.
            let lacked = sent.iter().find(|beat| *beat > has).filter(|beat| **beat + took < at);
            let truth = lacked.map_or(0.0, |beat| (at - beat - took) as f64 / 1e6);
            prop_assert!(interval.contains(truth), "{interval:?} {truth}");
            prop_assert!(truth <= delay as f64 / 1e6 + 1e-6, "it lags by no more than the delay");
        }
    }
}
