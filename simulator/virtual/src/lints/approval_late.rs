//! An approval that comes after the destruction which it should guard: something was destroyed before anybody agreed to anything, and
//! nothing behind the approval changes a system that was not destroyed on already.

use std::collections::BTreeSet;

use lifeboat_core::{
    event::Event,
    name::{RoleName, StepId},
    plan::{Plan, Section, StepKind},
};

use super::{Flawed, Scene, behind, changed, destroyed, list};
use crate::subject::planned;

/// An approval that may come too late.
#[derive(Debug)]
pub(super) struct Guard {
    step: StepId,
    /// The systems that are changed behind it.
    roles: BTreeSet<RoleName>,
}

/// The approvals behind which no system is changed that is not destroyed on elsewhere.
pub(super) fn guards(plan: &Plan) -> Vec<Guard> {
    let places = || (0..plan.steps.len()).filter(|place| plan.steps[*place].section == Section::Steps);
    let asks = places().filter(|place| matches!(plan.steps[*place].kind, StepKind::Approve { .. }));
    let guard = |asks: usize| {
        let behind = behind(plan, asks);
        let (guarded, beside): (Vec<usize>, Vec<usize>) = places().partition(|place| behind.contains(place));
        let roles = guarded.into_iter().flat_map(|place| changed(plan, &plan.steps[place])).cloned().collect();
        let before: BTreeSet<&RoleName> = beside.into_iter().flat_map(|place| destroyed(&plan.steps[place])).collect();
        let guard = Guard { step: plan.steps[asks].id.clone(), roles };
        (!before.is_empty() && guard.roles.iter().all(|role| before.contains(role))).then_some(guard)
    };
    asks.filter_map(guard).collect()
}

pub(super) fn look(scene: &Scene<'_>) -> Vec<Flawed> {
    if scene.watch.guards.is_empty() {
        return Vec::new();
    }
    let records = &scene.played.records;
    let first =
        records.iter().position(|record| matches!(record.event, Event::ApprovalAnswered { approved: true, .. }));
    let Some(first) = first else { return Vec::new() };
    let guard = scene.watch.guards.iter().find(|guard| records[first].event.step() == Some(&guard.step));
    let Some(guard) = guard else { return Vec::new() };
    let done = records[..first].iter().filter_map(|record| match &record.event {
        Event::StepSucceeded { step, .. } => planned(scene.plan(), step),
        _ => None,
    });
    let destroyers: Vec<_> = done.filter(|step| destroyed(step).next().is_some()).collect();
    let roles: BTreeSet<&RoleName> = destroyers.iter().flat_map(|step| destroyed(step)).collect();
    let late = !destroyers.is_empty() && guard.roles.iter().all(|role| roles.contains(role));
    let steps: BTreeSet<&StepId> = destroyers.iter().map(|step| &step.id).collect();
    late.then(|| (guard.step.clone(), why(guard, &steps))).into_iter().collect()
}

fn why(guard: &Guard, destroyers: &BTreeSet<&StepId>) -> String {
    let (asks, before) = (&guard.step, list(destroyers));
    let has = if destroyers.len() == 1 { "has" } else { "have" };
    if guard.roles.is_empty() {
        return format!(
            "`{asks}` asks after {before} {has} already destroyed something, and no later step changes anything"
        );
    }
    let roles = list(&guard.roles);
    format!("`{asks}` asks after {before} {has} already destroyed something, and later steps change only {roles}")
}
