//! What should be looked into after a drill, also after one that was met.

use serde::Serialize;

use super::Reviewed;
use crate::{
    drill::{DrillReport, StepReport},
    elapsed,
    history::{ControlTally, Holding, regressions},
};

/// A recovery that took more than this part of its objective is near it.
const NEAR: f64 = 0.8;

/// Something to be looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lesson {
    /// The drill that teaches it.
    pub drill: String,
    /// What was seen.
    pub lesson: String,
}

pub(super) fn lessons(drill: &Reviewed) -> Vec<Lesson> {
    let report = &drill.report;
    let mut lessons = tried_again(drill);
    lessons.extend(regressions(&drill.holdings.iter().collect::<Vec<&Holding>>()));
    lessons.extend(ControlTally::of(report).against());
    lessons.extend(near_objectives(report));
    lessons.extend(report.steps().filter_map(needed_hands));
    lessons.extend(report.episodes.iter().filter(|episode| episode.outcome == "succeeded_with_exceptions").map(
        |episode| format!("{} ended with exceptions: a person has to decide about what is left", episode.runbook.id),
    ));
    if report.environment.host.is_some_and(|host| host.before.too_busy) {
        lessons.push("the machine was too busy for the probes before it began".to_owned());
    }
    lessons.into_iter().map(|lesson| Lesson { drill: report.drill.clone(), lesson }).collect()
}

fn tried_again(drill: &Reviewed) -> Vec<String> {
    match drill.tried_before {
        0 => Vec::new(),
        1 => vec!["it was held once before in this run, and was no pass".to_owned()],
        times => vec![format!("it was held {times} times before in this run, and was no pass")],
    }
}

fn near_objectives(report: &DrillReport) -> Vec<String> {
    let near = |what: &str, id: &str, high: Option<f64>, objective: Option<f64>| {
        let (high, objective) = high.zip(objective)?;
        let is_near = high > objective * NEAR && high <= objective;
        let (took, of) = (elapsed::seconds(high), elapsed::seconds(objective));
        is_near.then(|| format!("the {what} of {id} is near its objective: {took} of {of}"))
    };
    let of = |episode: &crate::drill::EpisodeReport| {
        let (id, rto, rpo) = (&episode.runbook.id, &episode.rto, &episode.rpo);
        let time = near("RTO", id, rto.judged_s.and_then(|it| it.high), rto.objective_s);
        let point = near("RPO", id, rpo.actual_s.and_then(|it| it.high), rpo.objective_s);
        [time, point]
    };
    report.episodes.iter().flat_map(of).flatten().collect()
}

/// A step that did not work by itself at once.
fn needed_hands(step: &StepReport) -> Option<String> {
    match (step.state.as_str(), step.attempts) {
        ("resolved_by_hand", _) => Some(format!("`{}` was done by hand", step.id)),
        ("succeeded", attempts) if attempts > 1 => Some(format!("`{}` needed {attempts} attempts", step.id)),
        _ => None,
    }
}
