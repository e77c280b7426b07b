//! What the steps of a runbook took in earlier runs.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use lifeboat_core::{
    event::{Mode, Outcome},
    feasibility::{StepTime, StepTimes},
    plan::Plan,
    run::{Run, StepRun, StepState},
};
use lifeboat_runtime::{
    Error,
    home::{Home, Listed, Standing},
};

/// How many runs count, the newest first.
const RUNS: usize = 5;

/// The median of each step of that runbook over its last runs that succeeded, drills included. A run that cannot be read is left out:
/// whoever checks a runbook wants to know of that runbook.
pub fn recorded(home: &Home, plan: &Plan) -> Result<StepTimes, Error> {
    let mut lengths: BTreeMap<_, Vec<SignedDuration>> = BTreeMap::new();
    let is_meant = |listed: &Listed| {
        let is_of_it = listed.runbook.as_ref().is_some_and(|runbook| runbook.id == plan.runbook.id);
        is_of_it && matches!(listed.standing, Standing::Finished(Outcome::Succeeded))
    };
    let meant = home.runs()?.into_iter().filter(is_meant).filter_map(|listed| home.load(&listed.run).ok());
    for run in meant.map(|loaded| loaded.run).filter(was_real).take(RUNS) {
        for step in &run.steps {
            if let Some(length) = length(step) {
                lengths.entry(step.id.clone()).or_default().push(length);
            }
        }
    }
    let time = |mut lengths: Vec<SignedDuration>| {
        lengths.sort_unstable();
        StepTime { length: lengths[lengths.len() / 2], runs: lengths.len() }
    };
    Ok(lengths.into_iter().map(|(step, lengths)| (step, time(lengths))).collect())
}

/// A dry run does not do what takes time.
fn was_real(run: &Run) -> bool {
    run.started.as_ref().is_some_and(|(_, facts)| facts.mode == Mode::Real)
}

fn length(step: &StepRun) -> Option<SignedDuration> {
    matches!(step.state, StepState::Succeeded { .. }).then_some(())?;
    Some(step.changed?.duration_since(step.started?))
}
