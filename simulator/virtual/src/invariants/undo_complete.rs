//! Where the journal says that everything was taken back, every effect that has an undo really was, the last one first.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::{
    event::Outcome,
    input::Purpose,
    name::StepId,
    plan::{Plan, Section, Step},
};

use super::Evidence;
use crate::{subject::planned, truth::changes};

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    if evidence.outcome() != Some(Outcome::RolledBack) {
        return Ok(());
    }
    let truth = evidence.truth;
    let called = truth.calls.iter().filter(|call| call.purpose == Purpose::Run && call.effect.is_some());
    let called = called
        .map(|call| &call.step)
        .filter(|id| planned(evidence.plan, id).and_then(Step::action).is_some_and(|action| changes(action.effect)));
    for id in called.chain(truth.hands.iter().map(|work| &work.step)) {
        // What handlers do comes after the recovery, and is not taken back.
        let step = planned(evidence.plan, id).filter(|step| step.section == Section::Steps);
        if step.is_some_and(|step| step.undo.is_some()) && truth.is_left(id) {
            return Err(format!("the run was rolled back, but the effect of `{id}` remains"));
        }
    }
    last_first(evidence)
}

/// What a step rests on is taken back after the step.
fn last_first(evidence: &Evidence<'_>) -> Result<(), String> {
    // When each was taken back for good. A list has many such moments, one for each item.
    let mut undone = BTreeMap::new();
    for call in evidence.truth.calls.iter().filter(|call| call.purpose == Purpose::Undo && call.effect.is_some()) {
        undone.entry(&call.step).and_modify(|at: &mut Option<u64>| *at = call.effect.max(*at)).or_insert(call.effect);
    }
    let moments = |place: usize| {
        let step = &evidence.plan.steps[place].id;
        let own = move |id: &StepId| planned(evidence.plan, id).is_some_and(|planned| planned.id == *step);
        undone.iter().filter(move |(id, _)| own(id)).map(|(_, at)| *at)
    };
    for (place, step) in evidence.plan.steps.iter().enumerate() {
        let Some(own) = moments(place).max() else { continue };
        for need in rests_on(evidence.plan, place) {
            if moments(need).min().is_some_and(|need| need < own) {
                let need = &evidence.plan.steps[need].id;
                return Err(format!("`{need}` was undone before `{}`, which depends on it", step.id));
            }
        }
    }
    Ok(())
}

/// Every step that must have come before this one.
fn rests_on(plan: &Plan, place: usize) -> BTreeSet<usize> {
    let mut found: BTreeSet<usize> = plan.steps[place].needs.iter().copied().collect();
    // A need always stands before the step that has it.
    for before in (0..place).rev() {
        if found.contains(&before) {
            found.extend(&plan.steps[before].needs);
        }
    }
    found
}
