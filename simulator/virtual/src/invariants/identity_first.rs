//! Before anything is destroyed, the host has compared the identity of that very system.

use lifeboat_core::{
    action::Effect,
    input::Purpose,
    plan::{Invocation, Step},
};

use super::Evidence;
use crate::{subject::planned, truth::CallMade};

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    for call in evidence.truth.calls.iter().filter(|call| call.effect.is_some()) {
        let step = planned(evidence.plan, &call.step);
        let Some(action) = step.and_then(|step| action(step, call)) else { continue };
        let mut destroyed = action.grants.iter().filter(|(_, effect)| **effect == Effect::Destroy).peekable();
        if action.effect == Effect::Destroy && destroyed.peek().is_none() {
            return Err(format!("`{}` could destroy something, but no grant names a role", call.step));
        }
        if let Some((role, _)) = destroyed.find(|(role, _)| !call.identified.contains(role)) {
            return Err(format!(
                "`{}` could destroy data on `{role}` before the identity of that system was compared",
                call.step
            ));
        }
    }
    Ok(())
}

fn action<'a>(step: &'a Step, call: &CallMade) -> Option<&'a Invocation> {
    match call.purpose {
        Purpose::Run => step.action(),
        Purpose::Verify => step.verify(),
        Purpose::Undo => step.undo.as_ref(),
        // Asking changes nothing.
        Purpose::Observe => None,
    }
}
