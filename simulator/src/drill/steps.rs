//! The runbook's steps as the report shows them.

use std::collections::BTreeSet;

use lifeboat_core::{
    plan::Plan,
    run::{Run, StepRun, StepState},
};

use crate::report::StepReport;

/// Every step of the plan, with the critical path of the recovery.
pub(super) fn steps(plan: &Plan, run: Option<&Run>, restored_by: &str) -> Vec<StepReport> {
    let critical = run.map(|run| critical_path(plan, run, restored_by)).unwrap_or_default();
    let report = |(index, step): (usize, &lifeboat_core::plan::Step)| {
        let ran = run.and_then(|run| run.steps.get(index));
        StepReport {
            id: step.id.to_string(),
            title: step.title.clone(),
            state: ran.map_or("waiting", |ran| ran.state.word()).to_owned(),
            attempts: ran.map_or(0, |ran| ran.attempts),
            started: ran.and_then(|ran| ran.started),
            seconds: ran.and_then(seconds),
            on_critical_path: critical.contains(&index),
            summary: ran.and_then(|ran| summary(&ran.state)),
        }
    };
    plan.steps.iter().enumerate().map(report).collect()
}

/// Goes backwards from the step that restores: among the steps that a step needs, it waited for the one that ended last.
fn critical_path(plan: &Plan, run: &Run, restored_by: &str) -> BTreeSet<usize> {
    let mut path = BTreeSet::new();
    let mut next = plan.steps.iter().position(|step| step.id.as_str() == restored_by);
    while let Some(index) = next {
        path.insert(index);
        let needs = plan.steps[index].needs.iter().copied();
        next = needs.filter(|need| *need < index).max_by_key(|need| run.steps.get(*need).and_then(|step| step.changed));
    }
    path
}

fn seconds(step: &StepRun) -> Option<f64> {
    let ended =
        matches!(step.state, StepState::Succeeded { .. } | StepState::Failed { .. } | StepState::ResolvedByHand { .. });
    let (started, changed) = step.started.zip(step.changed)?;
    ended.then(|| changed.duration_since(started).as_secs_f64())
}

fn summary(state: &StepState) -> Option<String> {
    let failed = || state.failure().map(|failure| format!("{}: {}", failure.reason().code, failure.reason().message));
    state.summary().map(str::to_owned).or_else(failed)
}
