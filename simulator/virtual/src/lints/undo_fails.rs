//! An undo that cannot work, however well the systems behave: its parameters have no value, because what it uses was never told, or it
//! cannot be repeated and was cut off.
//!
//! Where a person took the place of a step its outputs are missing for another reason: then a person has to look.

use lifeboat_core::{
    event::{Event, Outcome},
    failure::{Failure, FailureKind},
    name::StepId,
    plan::Invocation,
};

use super::{Flawed, Scene, is_persons_doing};
use crate::subject::planned;

pub(super) fn look(scene: &Scene<'_>) -> Vec<Flawed> {
    if !matches!(scene.outcome(), Some(Outcome::Failed | Outcome::Aborted)) {
        return Vec::new();
    }
    let failed = scene.played.records.iter().filter_map(|record| match &record.event {
        Event::UndoFailed { step, failure } => flaw(scene, step, failure),
        _ => None,
    });
    failed.collect()
}

fn flaw(scene: &Scene<'_>, id: &StepId, failure: &Failure) -> Option<Flawed> {
    let step = planned(scene.plan(), id)?;
    let undo = step.undo.as_ref()?;
    let why = match (failure.kind(), failure.reason().code.as_str()) {
        // Whoever aborts a run that is being undone has cut it off, and knows.
        (_, "run-aborted") => return None,
        (_, "run-render") if went_by_itself(scene) => {
            format!("`{}` cannot be undone: {}", step.id, failure.reason().message)
        }
        (FailureKind::Interrupted, _) if !undo.idempotent => unrepeatable(&step.id, undo),
        _ => return None,
    };
    Some((step.id.clone(), why))
}

fn unrepeatable(step: &StepId, undo: &Invocation) -> String {
    format!(
        "the undo of `{step}` (`{}`) is not safe to repeat: if it is cut off, its effect is unknown, and it is \
         given up",
        undo.action
    )
}

/// Whether no person left a step out or did the work of one.
fn went_by_itself(scene: &Scene<'_>) -> bool {
    !scene.played.records.iter().any(|record| is_persons_doing(&record.event))
}
