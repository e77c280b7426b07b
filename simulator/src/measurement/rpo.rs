//! RPO: the span of acknowledged writes that are missing after the recovery, split by the cause of the loss.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::{
    Interval, Verdict,
    loss::Losses,
    objective::{judge, undecided},
};
use crate::{
    clock::At,
    ledger::{History, Key, WriteOutcome},
};

/// What the injector knows about the damage. Used for the measurement only; the engine never sees it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Damage {
    /// `T_c`: when the first damaging operation was sent.
    pub began: At,
    /// The records that it removed or changed.
    pub records: BTreeSet<Key>,
}

/// The measured RPO. `None`: it could not be measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Rpo {
    /// `t_freeze`: the last write acknowledged before the recovered state took over.
    pub freeze: Option<At>,
    /// `t_freeze − min(ack time in L)`.
    pub actual: Option<Interval>,
    /// The part that was acknowledged before `T_c`: `T_c − min(ack)`.
    pub pre_fault: Option<Interval>,
    /// The part that was acknowledged after `T_c`: `t_freeze − min(ack)`.
    pub collateral: Option<Interval>,
    /// Damaged records that are still not right. `None` if there was no damage to look for, or if the records could not be read.
    pub residual_damage: Option<usize>,
    /// Shortest loss that the workload could have shown, in seconds: the longest pause between two acknowledgements before the
    /// damage (before `t_freeze`, if there was no damage).
    pub resolution: Option<f64>,
    /// Acknowledged writes that still exist although an older one is lost.
    pub after_first_hole: Option<usize>,
    /// `actual` against the objective, and no residual damage.
    pub verdict: Verdict,
    /// What was missing, if the verdict is `unmeasured`.
    pub missing: Option<String>,
}

/// A lost write: sent, acknowledged.
type Span = (At, At);

/// Measures the RPO. `losses`: `None` if the final state could not be read, which leaves everything but the instants unmeasured.
/// `takes_over`: when the recovered state took over; `None`: it never did, and the service is as it was.
pub fn rpo(
    history: &History,
    losses: Option<&Losses>,
    damage: Option<&Damage>,
    takes_over: Option<At>,
    objective: Option<SignedDuration>,
) -> Rpo {
    let mut acknowledged: Vec<At> = history.acknowledged().map(|(at, _)| at).collect();
    acknowledged.sort();
    let freeze = acknowledged.iter().copied().filter(|at| takes_over.is_none_or(|over| *at <= over)).max();
    let resolution = resolution(&acknowledged, damage.map(|damage| damage.began).or(freeze));
    let Some(losses) = losses else {
        return Rpo {
            freeze,
            actual: None,
            pre_fault: None,
            collateral: None,
            residual_damage: None,
            resolution,
            after_first_hole: None,
            verdict: Verdict::Unmeasured,
            missing: Some("the rows could not be read".to_owned()),
        };
    };
    let lost = lost_spans(history, losses);
    let residual_damage = damage.map(|damage| damage.records.intersection(&losses.wrong).count());
    let span = |until: At, part: &[Span]| Some(interval(until, part, &unknown_spans(history, losses), resolution?));
    let (pre, post) = split(&lost, damage);
    let actual = freeze.and_then(|freeze| span(freeze, &lost));
    let damaged = residual_damage.unwrap_or(0) > 0;
    let verdict = if damaged { Verdict::Missed } else { judge(actual, objective) };
    let missing = (verdict == Verdict::Unmeasured).then(|| missing(freeze, actual, objective)).flatten();
    Rpo {
        freeze,
        actual,
        pre_fault: damage.and_then(|damage| Some(interval(damage.began, &pre, &[], resolution?))),
        collateral: damage.and(freeze).and_then(|freeze| Some(interval(freeze, &post, &[], resolution?))),
        residual_damage,
        resolution,
        after_first_hole: Some(after_first_hole(history, losses, &lost)),
        verdict,
        missing,
    }
}

fn missing(freeze: Option<At>, actual: Option<Interval>, objective: Option<SignedDuration>) -> Option<String> {
    match (freeze, actual) {
        (None, _) => Some("no write was acknowledged".to_owned()),
        (_, None) => Some("too few writes: fewer than two were acknowledged before the damage".to_owned()),
        _ => undecided(actual, objective),
    }
}

/// The lost writes, the initial load among them as one write that was acknowledged when it ended.
fn lost_spans(history: &History, losses: &Losses) -> Vec<Span> {
    let load = history.baseline.acknowledged;
    let loaded = (!losses.lost_loaded.is_empty()).then_some((load, load));
    let writes = losses.lost.iter().map(|index| &history.writes[*index]);
    loaded.into_iter().chain(writes.filter_map(|write| Some((write.invoked, write.ended?)))).collect()
}

fn unknown_spans(history: &History, losses: &Losses) -> Vec<At> {
    losses.unknown_missing.iter().map(|index| history.writes[*index].invoked).collect()
}

/// The damage is sent at `T_c`; what was acknowledged before is pre-fault, the rest collateral.
fn split(lost: &[Span], damage: Option<&Damage>) -> (Vec<Span>, Vec<Span>) {
    lost.iter().partition(|(_, acknowledged)| damage.is_none_or(|damage| *acknowledged < damage.began))
}

/// The lower bound counts acknowledgements of lost writes; the upper one counts from when they were sent, and includes missing
/// writes without an answer, because the server may have acknowledged them. It is never finer than the resolution.
fn interval(until: At, lost: &[Span], unknown: &[At], resolution: f64) -> Interval {
    let seconds = |earliest: Option<At>| earliest.map(|at| until.seconds_since(at));
    let low = seconds(lost.iter().map(|(_, acknowledged)| *acknowledged).min());
    let high = seconds(lost.iter().map(|(invoked, _)| *invoked).chain(unknown.iter().copied()).min());
    Interval::between(low.unwrap_or(0.0), high.map_or(resolution, |high| high.max(resolution)))
}

/// The longest pause between two acknowledgements up to `until`. A single acknowledgement gives no pause.
fn resolution(acknowledged: &[At], until: Option<At>) -> Option<f64> {
    let until = until?;
    let before = acknowledged.partition_point(|at| *at <= until);
    let pauses = acknowledged[..before].windows(2).map(|pair| pair[1].seconds_since(pair[0]));
    pauses.fold(None, |longest: Option<f64>, pause| Some(longest.map_or(pause, |longest| longest.max(pause))))
}

/// How ragged the loss is: kept writes that are younger than the oldest lost one.
fn after_first_hole(history: &History, losses: &Losses, lost: &[Span]) -> usize {
    let Some(hole) = lost.iter().map(|(_, acknowledged)| *acknowledged).min() else { return 0 };
    let kept = history.writes.iter().enumerate().filter(|(index, _)| !losses.lost.contains(index));
    kept.filter(|(_, write)| write.outcome == WriteOutcome::Ok && write.ended.is_some_and(|at| at > hole)).count()
}
