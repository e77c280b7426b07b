//! Laws of thin evidence: what is not known makes a verdict `unmeasured`. It never makes a good recovery bad or a bad one good.

use jiff::SignedDuration;
use lifeboat_core::plan::Clock as ObjectiveClock;
use proptest::prelude::*;

use super::model::probes;
use crate::{
    clock::At,
    measurement::{Instants, Missing, Outage, Probe, ProbeKind, Rto, StabilityRule, Verdict, outage, rto},
};

const SECOND: i64 = 1_000_000;
/// Three seconds hold 30 probes of a kind on schedule; 15 of them must be there.
const RULE: StabilityRule = StabilityRule { window: SignedDuration::from_secs(3), probes_at_least: 15 };

/// A service that is down for a while, watched by a machine that now and then cannot, and an objective.
#[derive(Debug, Clone)]
struct Watched {
    probes: Vec<Probe>,
    fault: At,
    outage_s: f64,
    objective: SignedDuration,
}

impl Watched {
    fn measured(&self, probes: &[Probe]) -> Rto {
        let outage = outage(probes, &RULE, Some(self.fault));
        rto(&outage, &Instants::default(), Some(self.objective), ObjectiveClock::Onset)
    }

    fn verdict(&self, probes: &[Probe]) -> Verdict {
        self.measured(probes).verdict
    }
}

prop_compose! {
    /// In a gap nobody probes at all; a few probes are missing besides.
    fn watched()(
        from in 4 * SECOND..6 * SECOND,
        length in 300_000..8 * SECOND,
        objective_ms in 300_i64..12_000,
        jitter in prop::collection::vec(0_i64..90_000, 50),
        gaps in prop::collection::vec((0..24 * SECOND, 0..4 * SECOND), 0..4),
        missed in prop::collection::vec(any::<prop::sample::Index>(), 0..300),
    ) -> Watched {
        let until = from + length;
        let mut probes = probes(24 * SECOND, &jitter, |at| at < from || at >= until);
        for index in missed {
            probes.swap_remove(index.index(probes.len()));
        }
        let is_seen = |probe: &Probe| !gaps.iter().any(|(begin, long)| (*begin..begin + long).contains(&probe.started.0));
        probes.retain(is_seen);
        Watched { probes, fault: At(from), outage_s: length as f64 / 1e6, objective: SignedDuration::from_millis(objective_ms) }
    }
}

fn some_of(picks: &[prop::sample::Index], of: usize) -> Vec<usize> {
    picks.iter().filter(|_| of > 0).map(|pick| pick.index(of)).collect()
}

fn picks(most: usize) -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..most)
}

proptest! {
    /// Whatever the machine could not watch: a verdict is right, or there is none.
    #[test]
    fn a_verdict_is_never_wrong(watched in watched()) {
        let measured = watched.measured(&watched.probes);
        let objective = watched.objective.as_secs_f64();
        match measured.verdict {
            Verdict::Met => prop_assert!(watched.outage_s <= objective, "{measured:?}"),
            Verdict::Missed => prop_assert!(watched.outage_s > objective, "{measured:?}"),
            Verdict::Unmeasured => prop_assert!(measured.missing.is_some(), "{measured:?}"),
        }
        prop_assert!(measured.service.is_none_or(|service| service.contains(watched.outage_s)), "{measured:?}");
    }

    /// Good probes that were not made never make a recovery worse than it was, and never better.
    #[test]
    fn without_good_probes_a_verdict_is_kept_or_lost(watched in watched(), dropped in picks(400)) {
        let good: Vec<usize> = (0..watched.probes.len()).filter(|place| watched.probes[*place].ok).collect();
        let dropped: Vec<usize> = some_of(&dropped, good.len()).into_iter().map(|pick| good[pick]).collect();
        let mut thinner = watched.probes.clone();
        let mut place = 0;
        thinner.retain(|_| { place += 1; !dropped.contains(&(place - 1)) });
        let (before, after) = (watched.verdict(&watched.probes), watched.verdict(&thinner));
        prop_assert!(after == before || after == Verdict::Unmeasured, "{before} became {after}");
    }

    /// A failed probe is evidence against the service, so that a miss stays one, or at worst is no longer proven.
    #[test]
    fn with_more_failed_probes_a_miss_is_not_met(
        watched in watched(), added in prop::collection::vec((0..24 * SECOND, 0..2 * SECOND, 0..5_usize), 0..12),
    ) {
        let mut worse = watched.probes.clone();
        worse.extend(added.into_iter().map(|(at, length, kind)| Probe {
            kind: ProbeKind::ALL[kind], started: At(at), ended: At(at + length + 1), ok: false, detail: None,
        }));
        let (before, after) = (watched.verdict(&watched.probes), watched.verdict(&worse));
        prop_assert!(before != Verdict::Missed || after != Verdict::Met, "{before} became {after}");
    }

    /// Turning good probes into failed ones after the fault never shortens the outage.
    #[test]
    fn a_probe_that_fails_instead_never_helps(watched in watched(), spoiled in picks(12)) {
        let mut worse = watched.probes.clone();
        for pick in some_of(&spoiled, worse.len()) {
            worse[pick].ok = false;
        }
        let (before, after) = (watched.measured(&watched.probes), watched.measured(&worse));
        prop_assert!(before.verdict != Verdict::Missed || after.verdict != Verdict::Met, "{before:?} became {after:?}");
    }

    #[test]
    fn the_order_of_the_log_does_not_matter(watched in watched(), seed in any::<prop::sample::Selector>()) {
        let mut order: Vec<usize> = (0..watched.probes.len()).collect();
        let mut shuffled = Vec::new();
        while !order.is_empty() {
            let place = seed.select(0..order.len());
            shuffled.push(watched.probes[order.swap_remove(place)].clone());
        }
        prop_assert_eq!(outage(&shuffled, &RULE, Some(watched.fault)), outage(&watched.probes, &RULE, Some(watched.fault)));
    }

    /// Nor does when the clock was started.
    #[test]
    fn the_origin_of_the_clock_does_not_matter(watched in watched(), by in -10 * SECOND..1_000 * SECOND) {
        let moved: Vec<Probe> = watched.probes.iter().cloned().map(|probe| Probe {
            started: At(probe.started.0 + by), ended: At(probe.ended.0 + by), ..probe
        }).collect();
        let later = Watched { fault: At(watched.fault.0 + by), ..watched.clone() };
        prop_assert_eq!(later.measured(&moved), watched.measured(&watched.probes));
    }

    /// A probe that answered twice, or a log that was read twice, is no better evidence.
    #[test]
    fn a_log_that_was_read_twice_says_the_same(watched in watched()) {
        let rule = StabilityRule { probes_at_least: 2 * RULE.probes_at_least, ..RULE };
        let twice: Vec<Probe> = watched.probes.iter().chain(&watched.probes).cloned().collect();
        let (once, twice) = (outage(&watched.probes, &RULE, Some(watched.fault)), outage(&twice, &rule, Some(watched.fault)));
        if let (Outage::Seen { onset, stability, .. }, Outage::Seen { onset: again, stability: same, .. }) = (&once, &twice) {
            prop_assert_eq!((onset, stability), (again, same));
        }
    }
}

/// What a busy host did once: no probe failed for long enough, and the one window right after the last failed probe had a probe
/// too few. The next window has enough.
#[test]
fn a_window_may_begin_at_any_good_probe() {
    let mut probes = probes(20 * SECOND, &[1_000], |at| !(5 * SECOND..7 * SECOND).contains(&at));
    let late = |probe: &Probe| probe.kind == ProbeKind::FreshWrite && (7_200_000..8_900_000).contains(&probe.started.0);
    probes.retain(|probe| !late(probe));
    let rule = StabilityRule { probes_at_least: 25, ..RULE };
    let Outage::Seen { onset, stability, missing } = outage(&probes, &rule, Some(At(5 * SECOND))) else {
        panic!("seen")
    };
    assert_eq!(missing, None);
    let (first, last) = (stability.first.expect("proven"), stability.not_after.expect("proven"));
    assert_eq!(first, last);
    assert!((8 * SECOND..9 * SECOND).contains(&first.0), "{stability:?}");
    assert!(
        stability.not_before.0 < 7 * SECOND && onset.low.0 < 5 * SECOND,
        "the bounds hold the truth: {stability:?}"
    );
}

/// The service failed once more after a stable window: the first window is the definition's, and the upper bound is honest.
#[test]
fn a_relapse_that_was_watched_widens_the_bounds() {
    let down = |at: i64| (5 * SECOND..7 * SECOND).contains(&at) || (12 * SECOND..13 * SECOND).contains(&at);
    let long = probes(20 * SECOND, &[1_000], |at| !down(at));
    let Outage::Seen { stability, .. } = outage(&long, &RULE, Some(At(5 * SECOND))) else { panic!("seen") };
    assert_eq!(stability.first.map(|first| first.0 / SECOND), Some(7));
    assert_eq!(stability.not_after.map(|last| last.0 / SECOND), Some(13));
    let short = probes(14 * SECOND, &[1_000], |at| !down(at));
    let Outage::Seen { stability, missing, .. } = outage(&short, &RULE, Some(At(5 * SECOND))) else { panic!("seen") };
    assert_eq!((stability.not_after, missing), (None, Some(Missing::LastingStability)));
}

/// What is missing is said in numbers.
#[test]
fn thin_evidence_says_what_is_missing() {
    let check = |probes: &[Probe], expected: &str| {
        let Outage::Seen { missing, .. } = outage(probes, &RULE, Some(At(5 * SECOND))) else { panic!("seen") };
        assert_eq!(missing.expect("not proven").to_string(), expected);
    };
    let service = |until| probes(until, &[1_000], |at| !(5 * SECOND..7 * SECOND).contains(&at));
    let mut few = service(16 * SECOND);
    let mut number = 0;
    few.retain(|probe| {
        let is_late = probe.kind == ProbeKind::Content && probe.started.0 > 7 * SECOND;
        number += usize::from(is_late);
        !is_late || number % 3 == 1
    });
    check(
        &few,
        "too few probes: in 3s without a failed probe there are at most 11 good ones of `content of sampled rows`; 15 are needed",
    );
    few.retain(|probe| probe.kind != ProbeKind::PooledRead);
    check(
        &few,
        "too few probes: in 3s without a failed probe there are at most 0 good ones of `read, pooled connection`; 15 are needed",
    );
    check(&service(9 * SECOND), "the probes ended after 1.9 s without a failed probe, and 3s are needed");
    check(&probes(12 * SECOND, &[1_000], |at| at < 5 * SECOND), "no period of 3s passed without a failed probe");
}
