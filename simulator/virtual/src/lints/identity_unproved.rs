//! A step would destroy something on a system, and nothing in the bindings proves that it is the one that is meant. The host refuses.

use lifeboat_core::{
    action::Effect,
    failure::FailureKind,
    input::Purpose,
    plan::{Invocation, Step},
};

use super::{Flawed, Scene, list, with_effect};
use crate::{subject::planned, truth::CallMade};

pub(super) fn look(scene: &Scene<'_>) -> Vec<Flawed> {
    if !scene.watch.subject.has_unproved() {
        return Vec::new();
    }
    let mut found: Vec<Flawed> = Vec::new();
    for call in scene.played.truth.calls.iter().filter(|call| call.answer == Some(Err(FailureKind::Denied))) {
        let Some(step) = planned(scene.plan(), &call.step) else { continue };
        if let Some(why) = refused(scene, step, call)
            && !found.iter().any(|(known, _)| *known == step.id)
        {
            found.push((step.id.clone(), why));
        }
    }
    found
}

fn refused(scene: &Scene<'_>, step: &Step, call: &CallMade) -> Option<String> {
    let action: Option<&Invocation> = match call.purpose {
        Purpose::Run => step.action(),
        Purpose::Verify => step.verify(),
        Purpose::Undo => step.undo.as_ref(),
        Purpose::Observe => None,
    };
    let destroyed = with_effect(action, |effect| effect == Effect::Destroy);
    let roles: Vec<_> = destroyed.filter(|role| scene.watch.subject.unproved(role).is_some()).collect();
    let why = format!(
        "`{}` may destroy data on {}, but the bindings do not prove its identity: the host refuses",
        step.id,
        list(&roles)
    );
    (!roles.is_empty()).then_some(why)
}
