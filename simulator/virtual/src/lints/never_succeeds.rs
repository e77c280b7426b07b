//! A step that was done in many cases and succeeded in none: its expressions have no value, or its time is too short for any attempt.
//!
//! As with a step that is never begun, only said when so many cases were played that chance does not explain it, and only of the first
//! in a row.

use lifeboat_core::plan::Plan;

use super::{Finding, unreachable::CASES_MIN};
use crate::coverage::Coverage;

pub(super) const CODE: &str = "path-never-succeeds";

/// Whether the step came to an end that is its own in some case, and never to a good one.
pub(super) fn is_so(coverage: &Coverage, place: usize) -> bool {
    let step = &coverage.steps[place];
    let ended = [step.failed, step.timed_out, step.interrupted].into_iter().flatten().sum::<u64>();
    step.succeeded == Some(0) && ended > 0
}

/// The steps that never succeeded although what they need did.
pub(crate) fn findings(plan: &Plan, coverage: &Coverage, cases: u64) -> Vec<Finding> {
    if cases < CASES_MIN {
        return Vec::new();
    }
    let succeeds = |place: &usize| coverage.steps[*place].succeeded != Some(0);
    let first = |place: &usize| plan.steps[*place].needs.iter().all(succeeds);
    let places = (0..plan.steps.len()).filter(|place| is_so(coverage, *place)).filter(first);
    places
        .map(|place| Finding { code: CODE, step: plan.steps[place].id.clone(), why: why(plan, coverage, place) })
        .collect()
}

fn why(plan: &Plan, coverage: &Coverage, place: usize) -> String {
    let step = &coverage.steps[place];
    let ends = [("failed", step.failed), ("ran out of time", step.timed_out), ("was cut off", step.interrupted)];
    let said: Vec<String> = ends
        .iter()
        .filter_map(|(how, cases)| cases.filter(|cases| *cases > 0).map(|cases| format!("it {how} in {cases}")))
        .collect();
    format!("`{}` succeeded in no case: {}", plan.steps[place].id, said.join(", "))
}
