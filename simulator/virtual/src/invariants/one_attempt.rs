//! At most one attempt of a step is in flight, ever, and their numbers only grow.

use super::Evidence;
use crate::{faults::word, truth::CallMade};

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    let calls = &evidence.truth.calls;
    for (place, call) in calls.iter().enumerate() {
        // The nearest call before is enough: where that one was over, so were those before it.
        let Some(before) = calls[..place].iter().rev().find(|before| before.step == call.step) else { continue };
        if before.ended.is_none_or(|ended| ended > call.began) {
            return Err(format!("{} of `{}` began while {} was still in flight", name(call), call.step, name(before)));
        }
        let same = calls[..place].iter().rev().find(|other| other.step == call.step && other.purpose == call.purpose);
        if let Some(same) = same.filter(|same| same.attempt > call.attempt) {
            return Err(format!("{} of `{}` began after {}", name(call), call.step, name(same)));
        }
    }
    Ok(())
}

fn name(call: &CallMade) -> String {
    format!("attempt {} ({})", call.attempt, word(call.purpose))
}
