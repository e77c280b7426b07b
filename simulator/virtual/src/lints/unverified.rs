//! A run succeeded, and nothing looked at a system after a step had changed it.
//!
//! A step looks where it may only read: with an action, or with the check of what a person did. What is cleaned up is not looked at
//! again: a step whose action takes back an earlier step on the same system. Nor is what handlers do, which is the last of all.

use lifeboat_core::{
    action::Effect,
    event::{Event, Outcome},
    input::Purpose,
    name::{RoleName, StepId},
    plan::{Invocation, OnFailure, Plan, Section, Step},
};

use super::{Flawed, Scene, behind, changed, is_persons_doing, list};
use crate::{subject::planned, truth::CallMade};

/// A step that changes systems at which nothing looks for certain.
#[derive(Debug)]
pub(super) struct Changer {
    step: StepId,
    roles: Vec<RoleName>,
}

/// The steps that change a system at which none of the steps behind them looks in every run that succeeds.
pub(super) fn changers(plan: &Plan) -> Vec<Changer> {
    let places = (0..plan.steps.len()).filter(|place| plan.steps[*place].section == Section::Steps);
    let changer = |place: usize| {
        let (step, behind) = (&plan.steps[place], behind(plan, place));
        let looked_at = |role: &RoleName| behind.iter().any(|place| surely_looks_at(&plan.steps[*place], role));
        let open = |role: &&RoleName| !cleans_up(plan, place, role) && !looked_at(role);
        let roles: Vec<RoleName> = changed(plan, step).filter(open).cloned().collect();
        (!roles.is_empty()).then(|| Changer { step: step.id.clone(), roles })
    };
    places.filter_map(changer).collect()
}

/// Whether the step does to the role what would take back an earlier step.
fn cleans_up(plan: &Plan, place: usize, role: &RoleName) -> bool {
    let Some(action) = plan.steps[place].action() else { return false };
    let takes_back = |undo: &Invocation| undo.action == action.action && undo.grants.contains_key(role);
    plan.steps[..place].iter().filter_map(|step| step.undo.as_ref()).any(takes_back)
}

/// Whether the step looks at the system in every run that succeeds. What a list has to look at, and be it nothing, is up to the list.
fn surely_looks_at(step: &Step, role: &RoleName) -> bool {
    let always = step.when.is_none() && step.within.is_none();
    let looks = step.action().into_iter().chain(step.verify()).any(|action| looks_at(action, role));
    always && looks && step.on_failure != OnFailure::Continue && step.section == Section::Steps
}

fn looks_at(action: &Invocation, role: &RoleName) -> bool {
    action.grants.get(role) == Some(&Effect::Read)
}

pub(super) fn look(scene: &Scene<'_>) -> Vec<Flawed> {
    if scene.watch.changers.is_empty() || !succeeded(scene) {
        return Vec::new();
    }
    scene.watch.changers.iter().filter_map(|changer| unseen(scene, changer)).collect()
}

/// Whether the run went through as it is written. Conditions that were false and work that the runbook asks people for make it a success
/// with exceptions, and nothing else may have.
fn succeeded(scene: &Scene<'_>) -> bool {
    let other = |event: &Event| matches!(event, Event::StepFailed { .. }) || is_persons_doing(event);
    match scene.outcome() {
        Some(Outcome::Succeeded) => true,
        Some(Outcome::SucceededWithExceptions) => !scene.played.records.iter().any(|record| other(&record.event)),
        _ => false,
    }
}

fn unseen(scene: &Scene<'_>, changer: &Changer) -> Option<Flawed> {
    let calls = &scene.played.truth.calls;
    let is_step = |step: &Step| step.id == changer.step;
    let own = calls
        .iter()
        .filter(|call| call.purpose == Purpose::Run && planned(scene.plan(), &call.step).is_some_and(is_step));
    let effect = own.filter_map(|call| call.effect).max()?;
    let looked = |role: &&RoleName| calls.iter().any(|call| call.began > effect && looked_at(scene.plan(), call, role));
    let roles: Vec<&RoleName> = changer.roles.iter().filter(|role| !looked(role)).collect();
    let them = if roles.len() == 1 { "it" } else { "them" };
    let why = format!("`{}` changes {}, but no step looks at {them} afterwards", changer.step, list(&roles));
    (!roles.is_empty()).then(|| (changer.step.clone(), why))
}

fn looked_at(plan: &Plan, call: &CallMade, role: &RoleName) -> bool {
    let step = planned(plan, &call.step);
    let action = step.and_then(|step| match call.purpose {
        Purpose::Run => step.action(),
        Purpose::Verify => step.verify(),
        Purpose::Observe | Purpose::Undo => None,
    });
    call.answer == Some(Ok(())) && action.is_some_and(|action| looks_at(action, role))
}
