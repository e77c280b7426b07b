//! What changes something and cannot be repeated takes effect once, unless it was taken back in between.

use std::collections::BTreeSet;

use lifeboat_core::{input::Purpose, name::StepId, plan::Invocation};

use super::Evidence;
use crate::{subject::planned, truth::changes};

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    let once = |action: &Invocation| !action.idempotent && changes(action.effect);
    let called: BTreeSet<&StepId> = evidence.truth.calls.iter().map(|call| &call.step).collect();
    for id in called {
        let Some(step) = planned(evidence.plan, id) else { continue };
        if step.action().is_some_and(once) {
            happens_once(evidence, id, Purpose::Run)?;
        }
        if step.undo.as_ref().is_some_and(once) {
            happens_once(evidence, id, Purpose::Undo)?;
        }
    }
    Ok(())
}

fn happens_once(evidence: &Evidence<'_>, step: &StepId, purpose: Purpose) -> Result<(), String> {
    let other = if purpose == Purpose::Run { Purpose::Undo } else { Purpose::Run };
    let effects =
        |purpose| evidence.truth.calls_of(step, purpose).filter_map(|call| Some((call.effect?, call.attempt)));
    let mut done: Vec<(u64, u32)> = effects(purpose).collect();
    done.sort_unstable();
    for pair in done.windows(2) {
        let between = effects(other).any(|(at, _)| pair[0].0 < at && at < pair[1].0);
        if !between {
            let what = if purpose == Purpose::Run { format!("`{step}`") } else { format!("the undo of `{step}`") };
            return Err(format!(
                "{what} took effect twice, in attempts {} and {}, although it cannot be repeated",
                pair[0].1, pair[1].1
            ));
        }
    }
    Ok(())
}
