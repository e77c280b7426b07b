//! Laws of the outage, on made-up services whose truth is known: when they were down, and when the fault came.

use jiff::SignedDuration;
use lifeboat_core::plan::Clock as ObjectiveClock;
use proptest::prelude::*;

use super::{hour, model::probes};
use crate::{
    clock::At,
    measurement::{Instants, Interval, Missing, Outage, Probe, ProbeKind, Rto, StabilityRule, Verdict, outage, rto},
};

const SECOND: i64 = 1_000_000;

fn rule() -> StabilityRule {
    StabilityRule { window: SignedDuration::from_secs(3), probes_at_least: 20 }
}

fn measured(probes: &[Probe], fault: Option<i64>) -> Rto {
    rto(&outage(probes, &rule(), fault.map(At)), &Instants::default(), hour(), ObjectiveClock::Onset)
}

/// Makes these probes bad, if they had ended before `until`.
fn spoil(probes: &mut [Probe], picks: &[prop::sample::Index], until: i64) {
    let early: Vec<usize> = (0..probes.len()).filter(|index| probes[*index].ended.0 < until).collect();
    for pick in picks {
        probes[*pick.get(&early)].ok = false;
    }
}

fn jitter() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0_i64..90_000, 50)
}

/// How long the service is up, and then down again: too briefly for a stable window, and long enough to be seen.
fn relapses() -> impl Strategy<Value = Vec<(i64, i64)>> {
    prop::collection::vec((300_000..2 * SECOND, 300_000..SECOND), 0..4)
}

proptest! {
    #[test]
    fn the_outage_is_bracketed(from in SECOND..5 * SECOND, length in 300_000..5 * SECOND, jitter in jitter(), known in any::<bool>()) {
        let until = from + length;
        let probes = probes(14 * SECOND, &jitter, |at| at < from || at >= until);
        let measured = measured(&probes, known.then_some(from));
        let truth = length as f64 / 1e6;
        let service = measured.service.expect("there was an outage");
        prop_assert!(service.contains(truth), "{service:?} does not hold {truth}");
        prop_assert!(service.high.is_some_and(|high| high < truth + 0.6), "{service:?} is too wide for {truth}");
        prop_assert_eq!(measured.verdict, Verdict::Met);
    }

    #[test]
    fn relapses_belong_to_the_outage(from in SECOND..3 * SECOND, first in 300_000..2 * SECOND, relapses in relapses(), jitter in jitter()) {
        let mut down = vec![(from, from + first)];
        for (up, length) in relapses {
            let begin = down[down.len() - 1].1 + up;
            down.push((begin, begin + length));
        }
        let end = down[down.len() - 1].1;
        let good = |at: i64| !down.iter().any(|(from, until)| (*from..*until).contains(&at));
        let service = measured(&probes(end + 5 * SECOND, &jitter, good), Some(from)).service.expect("there was an outage");
        let truth = (end - from) as f64 / 1e6;
        prop_assert!(service.contains(truth), "{service:?} does not hold {truth}");
    }

    /// What was seen before the fault makes the drill unsteady, which is a check of its own. It never makes the outage longer
    /// or shorter.
    #[test]
    fn what_was_bad_before_the_fault_is_not_its_outage(
        from in 4 * SECOND..6 * SECOND, length in 300_000..3 * SECOND, jitter in jitter(), picks in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let until = from + length;
        let clean = probes(13 * SECOND, &jitter, |at| at < from || at >= until);
        let mut unsteady = clean.clone();
        spoil(&mut unsteady, &picks, from - 300_000);
        prop_assert_eq!(outage(&unsteady, &rule(), Some(At(from))), outage(&clean, &rule(), Some(At(from))));
        spoil(&mut unsteady, &picks, from);
        let seen = outage(&unsteady, &rule(), Some(At(from)));
        prop_assert!(matches!(seen, Outage::Unmeasured(_)) || seen == outage(&clean, &rule(), Some(At(from))), "{seen:?}");
    }

    #[test]
    fn onset_and_stability_are_those_of_the_fault(from in 4 * SECOND..6 * SECOND, jitter in jitter(), bad in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let mut probes = probes(13 * SECOND, &jitter, |_| true);
        for pick in bad {
            let place = pick.index(probes.len());
            probes[place].ok = false;
        }
        if let Outage::Seen { onset, stability, missing } = outage(&probes, &rule(), Some(At(from))) {
            prop_assert!(onset.high.0 >= from, "{onset:?} lies before the fault at {from}");
            prop_assert!(onset.low <= onset.point && onset.point <= onset.high);
            prop_assert!(stability.not_before >= onset.low);
            prop_assert!(stability.first.is_none_or(|first| first.0 > from && first >= stability.not_before), "{stability:?}");
            prop_assert!(stability.not_after.is_none_or(|last| stability.first.is_some_and(|first| first <= last)), "{stability:?}");
            prop_assert_eq!(missing.is_none(), stability.not_after.is_some());
        }
    }
}

fn check(service: Option<Interval>, truth: f64) {
    let service = service.expect("there was an outage");
    assert!(
        service.contains(truth) && service.high.is_some_and(|high| high < truth + 0.6),
        "{service:?}, truly {truth}"
    );
}

/// A probe that failed six seconds before the fault, with a quiet time after it that would do for a stable window.
#[test]
fn a_failure_long_before_the_fault_is_neither_its_onset_nor_its_end() {
    let mut probes = probes(16 * SECOND, &[1_000], |at| !(8 * SECOND..10 * SECOND).contains(&at));
    let early = probes.iter_mut().find(|probe| probe.kind == ProbeKind::FreshRead && probe.started.0 >= 2 * SECOND);
    early.expect("one that early").ok = false;
    check(measured(&probes, Some(8 * SECOND)).service, 2.0);
}

#[test]
fn a_service_that_is_down_when_the_fault_comes_has_no_onset() {
    let probes = probes(14 * SECOND, &[1_000], |at| !(4 * SECOND..8 * SECOND).contains(&at));
    assert_eq!(
        outage(&probes, &rule(), Some(At(5 * SECOND))),
        Outage::Unmeasured(Missing::HealthBefore { kind: ProbeKind::PooledRead })
    );
}

#[test]
fn a_fault_that_no_probe_saw_is_unmeasured() {
    let probes = probes(14 * SECOND, &[1_000], |_| true);
    assert_eq!(outage(&probes, &rule(), Some(At(5 * SECOND))), Outage::Unmeasured(Missing::Sight));
    let measured = measured(&probes, Some(5 * SECOND));
    assert_eq!((measured.service, measured.verdict), (None, Verdict::Unmeasured));
}

#[test]
fn without_probes_nothing_is_known() {
    assert_eq!(outage(&[], &rule(), None), Outage::Unmeasured(Missing::Probes));
    assert_eq!(measured(&[], None).verdict, Verdict::Unmeasured);
}

#[test]
fn a_quiet_run_measures_zero_to_its_resolution() {
    let measured = measured(&probes(10 * SECOND, &[0, 5_000, 3_000], |_| true), None);
    let service = measured.service.expect("measured");
    assert_eq!(service.low, 0.0);
    assert!(service.high.is_some_and(|high| high < 0.2), "{service:?}");
    assert_eq!(measured.verdict, Verdict::Met);
}

/// What was seen of an outage without an end is longer than an objective only once it is: before that nobody knows.
#[test]
fn an_outage_without_an_end_is_longer_than_seen() {
    let probes = probes(10 * SECOND, &[0, 5_000], |at| at < 4 * SECOND);
    let seen = outage(&probes, &rule(), Some(At(4 * SECOND)));
    let of =
        |objective| rto(&seen, &Instants::default(), Some(SignedDuration::from_secs(objective)), ObjectiveClock::Onset);
    let service = of(3600).service.expect("seen");
    assert!(service.high.is_none() && service.low > 5.0, "{service:?}");
    assert_eq!(of(3600).verdict, Verdict::Unmeasured);
    assert_eq!(of(3600).missing.as_deref(), Some("no period of 3s passed without a failed probe"));
    assert_eq!((of(5).verdict, of(5).missing), (Verdict::Missed, None));
}

#[test]
fn a_service_that_was_never_healthy_has_no_onset() {
    let probes = probes(10 * SECOND, &[0], |at| at > 4 * SECOND);
    assert!(matches!(outage(&probes, &rule(), None), Outage::Unmeasured(Missing::HealthBefore { .. })));
}
