//! Recovery: the same fold as live, and one input for each step whose call was in flight.

use std::collections::BTreeSet;

use lifeboat_core::{
    event::Person,
    input::Input,
    operator::{Command, Request},
    plan::Plan,
    run::{Run, StepState},
};

use crate::journal::{Damage, Problem, Recorded};

/// The state that a journal leads to.
pub fn fold(plan: &Plan, records: &[Recorded]) -> Result<Run, Damage> {
    let mut run = Run::new(plan);
    for record in records {
        run.apply(record.at, &record.event)
            .map_err(|illegal| Damage { line: record.seq, problem: Problem::Illegal(illegal.to_string()) })?;
    }
    Ok(run)
}

/// What a resumed engine tells the core first: it is unknown how far these calls came.
pub fn interrupted(run: &Run) -> Vec<Input> {
    let in_flight = run.steps.iter().filter(|step| {
        matches!(
            step.state,
            StepState::Running(_)
                | StepState::Interrupted(_)
                | StepState::Observing(_)
                | StepState::Verifying { .. }
                | StepState::Undoing { .. }
        )
    });
    in_flight.map(|step| Input::Interrupted { step: step.id.clone() }).collect()
}

/// The first inputs when an engine continues a run: the calls that were cut off, then the request. Whoever continues a paused run
/// unpauses it.
pub fn opening(run: &Run, wanted: Option<Request>, who: impl FnOnce() -> Person) -> Vec<Input> {
    let unpaused = |who| Request { who, groups: BTreeSet::new(), command: Command::Unpause { reason: None } };
    let wanted = wanted.or_else(|| run.pause.as_ref().map(|_| unpaused(who())));
    let mut opening = interrupted(run);
    opening.extend(wanted.map(|request| Input::Command(Box::new(request))));
    opening
}
