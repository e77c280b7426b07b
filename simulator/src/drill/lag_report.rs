//! From looks at standbys to what the report says of them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::evidence::{Evidence, Lagged};
use crate::{
    clock::At,
    measurement::{Lag, LagObjective, Verdict, caught_up, judge, lag_of, lags},
    report::LagReport,
};

/// What was measured of the standbys, in the order of the timeline. Without a fault nothing slows them.
pub(super) fn lag_reports(evidence: &Evidence, interval: Duration, with_fault: bool) -> Vec<LagReport> {
    evidence.lagged.iter().map(|lagged| lag_report(lagged, evidence, interval, with_fault)).collect()
}

fn lag_report(lagged: &Lagged, evidence: &Evidence, interval: Duration, with_fault: bool) -> LagReport {
    let Lagged { spec, from, until, faults } = lagged;
    let seen: Vec<_> = evidence.sightings.iter().filter(|sighting| sighting.standby == spec.of).cloned().collect();
    let all = lags(&seen, &evidence.probes);
    let within: Vec<_> = all.iter().filter(|(at, _)| (*from..=*until).contains(at)).copied().collect();
    // Half of the schedule, as for probes: a busy machine may skip looks.
    let scheduled = until.seconds_since(*from) / interval.as_secs_f64().max(0.001);
    let wanted = LagObjective {
        at_most: spec.at_most.filter(|_| spec.within.is_none()),
        at_least: spec.at_least.filter(|_| with_fault),
        sightings: if spec.within.is_some() { 1 } else { (scheduled / 2.0) as usize },
    };
    let lag = lag_of(&within, &wanted);
    let caught_up = spec.within.zip(spec.at_most).and_then(|(_, at_most)| caught_up(&within, *from, at_most));
    let in_time = spec.within.map_or(Verdict::Met, |within| judge(caught_up, Some(within)));
    let late = (in_time == Verdict::Unmeasured).then(|| "no look at the standby shows when it caught up".to_owned());
    let Lag { longest, median, sightings, verdict, missing } = lag;
    let wall = |at: &At| -> Timestamp { evidence.wall(*at) };
    let seconds = |length: Option<SignedDuration>| length.map(|length| length.as_secs_f64());
    LagReport {
        standby: spec.of.clone(),
        faults: faults.clone(),
        from: wall(from),
        until: wall(until),
        longest_s: longest,
        median_s: median,
        caught_up_s: caught_up,
        at_most_s: seconds(spec.at_most),
        at_least_s: seconds(spec.at_least),
        within_s: seconds(spec.within),
        sightings,
        verdict: verdict.and(in_time),
        missing: missing.or(late),
    }
}
