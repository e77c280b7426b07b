//! Somebody is asked, nobody comes, and no limit of the runbook ever ends it: the run waits without end.
//!
//! A decision about an interrupted attempt is waited for without end too: nothing else can be right there.

use lifeboat_core::plan::{Step, StepKind};

use super::{Flawed, Scene};
use crate::{lives::LifeEnd, subject::planned};

pub(super) fn look(scene: &Scene<'_>) -> Vec<Flawed> {
    let mut found: Vec<Flawed> = Vec::new();
    for end in &scene.played.lives {
        let LifeEnd::Waiting(steps) = end else { continue };
        for step in steps.iter().filter_map(|step| planned(scene.plan(), step)).filter(|step| is_unlimited(step)) {
            if !found.iter().any(|(known, _)| *known == step.id) {
                found.push((step.id.clone(), why(step)));
            }
        }
    }
    found
}

fn is_unlimited(step: &Step) -> bool {
    match &step.kind {
        StepKind::Approve { expires, .. } => expires.is_none() && step.timeout.is_none(),
        StepKind::Manual { .. } => step.timeout.is_none(),
        StepKind::Uses(_) => false,
    }
}

fn why(step: &Step) -> String {
    let limits = match &step.kind {
        StepKind::Approve { .. } => "neither `timeout` nor `expires` limits",
        _ => "no `timeout` limits",
    };
    format!("`{}` asks somebody, and {limits} the wait: if nobody comes, the run waits for ever", step.id)
}
