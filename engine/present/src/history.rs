//! What was rehearsed, how it went, and what is due: computed from the lines that drills leave, and from the runs.

mod holding;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

pub use self::holding::{Against, ControlTally, HeldEpisode, HeldLag, HeldRoutine, HeldSystem, Holding};
use crate::drill::Every;

/// Number of measured holdings before the last one from which a usual time is known.
const USUAL_MIN: usize = 3;
/// Slower than usual by more than this is a regression.
const SLOWER: f64 = 1.25;
/// Number of holdings that are compared with the same number before them.
const TREND_OVER: usize = 5;

/// How long a drill usually takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct UsualLength {
    /// Seconds, the median of the last holdings whose length is known.
    pub median_s: f64,
    /// Of so many, 5 at most.
    pub holdings: usize,
}

/// How often a runbook was executed in earnest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Executed {
    /// How often, whatever came of it.
    pub times: usize,
    /// When it last succeeded, without exceptions.
    pub succeeded: Option<Timestamp>,
    /// How often it has to be executed with success, as it said when it was started last; `None` of a recovery.
    pub every: Option<Every>,
}

impl Executed {
    /// From when on it is overdue: at once where it never succeeded. `None` of what is not executed regularly.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let every = self.every?;
        Some(self.succeeded.map_or(Timestamp::MIN, |last| due(every, last)))
    }
}

/// What the holdings of one drill say together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// The drill's name, or the runbook's that has no drill.
    pub drill: String,
    /// How often it was held.
    pub held: usize,
    /// How often its objectives were met.
    pub met: usize,
    /// When it was held last, and how that went; `None` where it never was.
    pub last: Option<Holding>,
    /// Seconds; of every holding that measured one.
    pub rto_median_s: Option<f64>,
    /// How the median of the last holdings differs from that of as many before them, in percent; negative is faster.
    pub rto_trend_percent: Option<f64>,
    /// How often it has to be held; `None` where no drill file says so.
    pub every: Option<Every>,
    /// Its recovery was never rehearsed, or not for as long as its drill file says.
    pub overdue: bool,
    /// What was good before and is not any more, in words.
    pub regressions: Vec<String>,
    /// How often its runbook was executed in earnest.
    pub runs: usize,
    /// When that last succeeded, without exceptions.
    pub runs_succeeded: Option<Timestamp>,
    /// How often its runbook has to be executed with success; `None` where it does not say.
    pub runs_every: Option<Every>,
    /// It was not executed with success for as long as it says.
    pub runs_overdue: bool,
}

/// The holdings, in order of time. A line that is not of a drill is skipped.
pub fn holdings(lines: Vec<Value>) -> Vec<Holding> {
    let mut holdings: Vec<Holding> = lines.into_iter().filter_map(|line| serde_json::from_value(line).ok()).collect();
    holdings.sort_by_key(|holding| holding.at);
    holdings
}

/// A record of each drill that was held, or could have been: those of `known`, with how often they have to be held, and the runbooks of
/// `runs`, by name.
pub fn records(
    holdings: &[Holding],
    known: &BTreeMap<String, Option<Every>>,
    runs: &BTreeMap<String, Executed>,
    now: Timestamp,
) -> Vec<Record> {
    let held = holdings.iter().map(|holding| holding.drill.clone());
    let names: BTreeSet<String> = held.chain(known.keys().cloned()).chain(runs.keys().cloned()).collect();
    names.into_iter().map(|drill| record(drill, holdings, known, runs, now)).collect()
}

/// How often a drill has to be held: as its file says now, or said when it was held last.
pub(crate) fn how_often(now: Option<Option<Every>>, last: Option<&Holding>) -> Option<Every> {
    now.unwrap_or_else(|| last?.file.as_ref()?.every)
}

/// From when on a drill is overdue that was held then.
pub(crate) fn due(every: Every, last: Timestamp) -> Timestamp {
    last.checked_add(every.at_most()).unwrap_or(Timestamp::MAX)
}

/// How long the last holdings of a drill on that testbed took, whatever came of them; `None` where the length of none is known.
pub fn usual_length(holdings: &[Holding], drill: &str, backend: &str) -> Option<UsualLength> {
    let is_meant = |holding: &&Holding| holding.drill == drill && holding.backend == backend;
    let lengths: Vec<f64> = holdings.iter().filter(is_meant).filter_map(|holding| holding.length_s).collect();
    let last = &lengths[lengths.len().saturating_sub(TREND_OVER)..];
    Some(UsualLength { median_s: median(last)?, holdings: last.len() })
}

fn record(
    drill: String,
    holdings: &[Holding],
    known: &BTreeMap<String, Option<Every>>,
    runs: &BTreeMap<String, Executed>,
    now: Timestamp,
) -> Record {
    let of: Vec<&Holding> = holdings.iter().filter(|holding| holding.drill == drill).collect();
    let last = of.last().map(|last| (*last).clone());
    let every = how_often(known.get(&drill).copied(), last.as_ref());
    let executed = runs.get(&drill).copied().unwrap_or_default();
    // What is executed regularly is a routine: it recovers nothing that a drill of its own could rehearse.
    let is_routine = executed.every.is_some() && !known.contains_key(&drill);
    let measured: Vec<f64> = of.iter().filter_map(|holding| holding.rto_s?.high).collect();
    Record {
        held: of.len(),
        met: of.iter().filter(|holding| holding.verdict == "met").count(),
        rto_median_s: median(&measured),
        rto_trend_percent: trend(&measured),
        overdue: match &last {
            None => !is_routine,
            Some(last) => every.is_some_and(|every| now > due(every, last.at)),
        },
        every,
        regressions: regressions(&of),
        runs: executed.times,
        runs_succeeded: executed.succeeded,
        runs_every: executed.every,
        runs_overdue: executed.due().is_some_and(|due| now > due),
        last,
        drill,
    }
}

/// The middle one, or the mean of both in the middle.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

fn trend(values: &[f64]) -> Option<f64> {
    let over = (values.len() / 2).min(TREND_OVER);
    if over < 2 {
        return None;
    }
    let (before, last) = values[values.len() - 2 * over..].split_at(over);
    let (before, last) = (median(before)?, median(last)?);
    (before > 0.0).then(|| (last / before - 1.0) * 100.0)
}

/// What the last holding has lost against those before it.
pub(crate) fn regressions(of: &[&Holding]) -> Vec<String> {
    let Some((last, before)) = of.split_last() else { return Vec::new() };
    let mut found = Vec::new();
    if before.last().is_some_and(|previous| previous.verdict == "met") && last.verdict != "met" {
        found.push(format!("{} after an earlier `met`", last.verdict));
    }
    let usual: Vec<f64> = before.iter().filter_map(|holding| holding.rto_s?.high).collect();
    let high = last.rto_s.and_then(|rto| rto.high);
    if let (Some(high), Some(usual)) = (high, median(&usual).filter(|_| usual.len() >= USUAL_MIN))
        && high > usual * SLOWER
    {
        found.push(format!("slower than usual by {:.0} %", (high / usual - 1.0) * 100.0));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::drill::DrillFile;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(day * 86_400).unwrap()
    }

    fn held(at: i64, verdict: &str, high: Option<f64>) -> Holding {
        let line = json!({ "at": day(at), "drill": "DR-003", "run": format!("dr-003-{at}"), "verdict": verdict,
            "rto_s": high.map(|high| json!({ "low": high, "high": high })) });
        holdings(vec![line]).remove(0)
    }

    fn quarterly() -> BTreeMap<String, Option<Every>> {
        BTreeMap::from([("DR-003".to_owned(), Some(Every::Quarterly))])
    }

    fn only(holdings: &[Holding], now: i64) -> Record {
        records(holdings, &quarterly(), &BTreeMap::new(), day(now)).remove(0)
    }

    #[test]
    fn lines_that_are_none_are_left_out_and_time_is_the_order() {
        let lines = vec![
            json!({"at": day(2), "drill": "A", "run": "b", "verdict": "met"}),
            json!({"drill": "A"}),
            json!(3),
            json!({"at": day(1), "drill": "A", "run": "a", "verdict": "missed"}),
        ];
        let runs: Vec<String> = holdings(lines).into_iter().map(|holding| holding.run).collect();
        assert_eq!(runs, ["a", "b"]);
    }

    #[test]
    fn what_was_never_held_is_overdue_and_so_is_what_was_held_long_ago() {
        let runs = BTreeMap::from([("DR-001".to_owned(), Executed { times: 2, ..Executed::default() })]);
        let found = records(&[held(0, "met", None)], &quarterly(), &runs, day(90));
        assert_eq!(
            found.iter().map(|record| (record.drill.as_str(), record.overdue)).collect::<Vec<_>>(),
            [("DR-001", true), ("DR-003", false)]
        );
        assert_eq!(found[0].runs, 2);
        assert!(only(&[held(0, "met", None)], 91).overdue);
    }

    #[test]
    fn a_routine_needs_no_drill_and_is_overdue_where_it_did_not_succeed() {
        let check = |succeeded: Option<i64>, now: i64, expected: bool| {
            let executed = Executed { times: 3, succeeded: succeeded.map(day), every: Some(Every::Quarterly) };
            let runs = BTreeMap::from([("QD-001".to_owned(), executed)]);
            let record = records(&[], &BTreeMap::new(), &runs, day(now)).remove(0);
            assert_eq!((record.runs_overdue, record.overdue), (expected, false), "{succeeded:?}");
        };
        check(None, 1, true);
        check(Some(0), 90, false);
        check(Some(0), 91, true);
        let runs =
            BTreeMap::from([("DR-003".to_owned(), Executed { every: Some(Every::Monthly), ..Executed::default() })]);
        assert!(records(&[], &quarterly(), &runs, day(1))[0].overdue, "it has a drill, which was never held");
    }

    #[test]
    fn what_no_file_says_is_not_invented() {
        let check = |known: Option<Option<Every>>, then: Option<Every>, expected: Option<Every>| {
            let mut holding = held(0, "met", None);
            holding.file = Some(DrillFile { digest: String::new(), every: then, exercises: Vec::new() });
            let known = known.map(|every| ("DR-003".to_owned(), every)).into_iter().collect();
            let record = records(&[holding], &known, &BTreeMap::new(), day(2_000)).remove(0);
            assert_eq!((record.every, record.overdue), (expected, expected.is_some()));
        };
        check(None, None, None);
        check(None, Some(Every::Monthly), Some(Every::Monthly));
        check(Some(None), Some(Every::Monthly), None);
        check(Some(Some(Every::Annually)), Some(Every::Monthly), Some(Every::Annually));
    }

    #[test]
    fn a_median_takes_what_was_measured() {
        let check = |values: &[Option<f64>], expected: Option<f64>| {
            let holdings: Vec<_> = (0..).zip(values).map(|(at, high)| held(at, "met", *high)).collect();
            assert_eq!(only(&holdings, 9).rto_median_s, expected, "{values:?}");
        };
        check(&[None], None);
        check(&[Some(4.0), None, Some(2.0), Some(9.0)], Some(4.0));
        check(&[Some(4.0), Some(2.0)], Some(3.0));
    }

    #[test]
    fn a_usual_length_is_that_of_the_last_holdings_on_the_same_testbed() {
        let line = |at: i64, drill: &str, backend: &str, length: Option<f64>| {
            let mut line =
                json!({ "at": day(at), "drill": drill, "run": "x", "verdict": "missed", "backend": backend });
            length.iter().for_each(|length| line["length_s"] = json!(length));
            line
        };
        let mut lines = vec![
            line(0, "A", "process", None),
            line(1, "A", "container", Some(900.0)),
            line(2, "B", "process", Some(800.0)),
        ];
        assert_eq!(usual_length(&holdings(lines.clone()), "A", "process"), None, "an earlier version noted none");
        lines.extend((3..).zip([700.0, 60.0, 50.0, 80.0, 70.0, 60.0]).map(|(at, s)| line(at, "A", "process", Some(s))));
        let usual = |drill: &str, backend: &str| usual_length(&holdings(lines.clone()), drill, backend);
        assert_eq!(usual("A", "process"), Some(UsualLength { median_s: 60.0, holdings: 5 }));
        assert_eq!(usual("A", "container"), Some(UsualLength { median_s: 900.0, holdings: 1 }));
        assert_eq!(usual("B", "container"), None);
    }

    #[test]
    fn a_trend_compares_the_last_with_those_before() {
        let holdings: Vec<_> =
            (0..).zip([10.0, 10.0, 12.0, 12.0]).map(|(at, high)| held(at, "met", Some(high))).collect();
        assert!(only(&holdings, 9).rto_trend_percent.is_some_and(|percent| (percent - 20.0).abs() < 1e-9));
        assert_eq!(only(&holdings[..3], 9).rto_trend_percent, None);
    }

    #[test]
    fn a_regression_is_a_lost_pass_or_an_unusual_length() {
        let check = |last: Holding, expected: &[&str]| {
            let mut holdings: Vec<_> = (0..3).map(|at| held(at, "met", Some(10.0))).collect();
            holdings.push(last);
            assert_eq!(only(&holdings, 9).regressions, expected);
        };
        check(held(4, "met", Some(12.0)), &[]);
        check(held(4, "met", Some(13.0)), &["slower than usual by 30 %"]);
        check(held(4, "missed", None), &["missed after an earlier `met`"]);
    }
}
