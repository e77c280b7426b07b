//! A step that no case ever began: its `when` is never true, or what it needs never succeeds.
//!
//! Only said when so many cases were played that chance does not explain it, and only of the first of several such steps in a row. What
//! is there for a failure waits for one: it is not counted where nothing failed.

use lifeboat_core::{
    event::{Event, SkipReason},
    plan::Plan,
};

use super::{Finding, never_succeeds};
use crate::{coverage::Coverage, lives::Played};

pub(super) const CODE: &str = "path-unreachable";

/// As many cases as are enough: a step that one run in fifty comes to is missed by all of them in 4 of 100,000 explorations.
pub(crate) const CASES_MIN: u64 = 500;

/// Which steps were begun in some case.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    /// The places of those which were not.
    missing: Vec<usize>,
}

impl Begun {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self { missing: (0..plan.steps.len()).collect() }
    }

    /// Takes the steps from the list that began in the case. The list is soon empty, and a case costs nothing then.
    pub(crate) fn add(&mut self, plan: &Plan, played: &Played) {
        let begins = |place: usize| {
            let id = &plan.steps[place].id;
            played.records.iter().any(|record| record.event.step() == Some(id) && may_begin(&record.event))
        };
        self.missing.retain(|place| !begins(*place));
    }

    /// Leaves what neither of two parts of the cases began.
    pub(crate) fn join(&mut self, other: &Self) {
        self.missing.retain(|place| other.missing.contains(place));
    }

    /// The first of the steps in a row that were never begun.
    pub(crate) fn findings(&self, plan: &Plan, coverage: &Coverage, cases: u64) -> Vec<Finding> {
        let first = |place: &&usize| !plan.steps[**place].needs.iter().any(|need| self.missing.contains(need));
        let finding = |place: &usize| {
            let step = plan.steps[*place].id.clone();
            Finding { code: CODE, why: why(plan, coverage, *place, cases), step }
        };
        // What always fails before it begins is done, in its author's eyes, and so is never done what needs it.
        let succeeds = |place: &usize| {
            let own = std::iter::once(place).chain(&plan.steps[*place].needs);
            !own.into_iter().any(|place| never_succeeds::is_so(coverage, *place))
        };
        let missing = self.missing.iter().filter(first).filter(|place| succeeds(place));
        if cases < CASES_MIN { Vec::new() } else { missing.map(finding).collect() }
    }
}

/// Whether the step began, or was left out for a reason that another run need not have.
fn may_begin(event: &Event) -> bool {
    match event {
        Event::StepSkipped { reason, .. } => {
            matches!(reason, SkipReason::NothingFailed | SkipReason::DoneBefore | SkipReason::ByOperator { .. })
        }
        // What fails without having begun has parameters that have no value.
        Event::StepCancelled { .. } | Event::SkipScheduled { .. } | Event::StepFailed { .. } => false,
        _ => true,
    }
}

fn why(plan: &Plan, coverage: &Coverage, place: usize, cases: u64) -> String {
    let step = &plan.steps[place];
    let never = |need: &&usize| coverage.steps[**need].succeeded == Some(0);
    let skipped = coverage.steps[place].skipped.is_some_and(|cases| cases > 0);
    let because = match step.needs.iter().find(never) {
        _ if skipped => "its `when` was never true".to_owned(),
        Some(need) => format!("`{}`, which it needs, never succeeded", plan.steps[*need].id),
        None => "no path leads to it".to_owned(),
    };
    format!("`{}` did not start in any of {cases} cases: {because}", step.id)
}
