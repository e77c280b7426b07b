//! The handlers: what is done when the recovery has ended, so that people always hear how.

use std::collections::BTreeSet;

use super::{
    Draft,
    settle::{cancel, forward},
};
use crate::{
    event::{Event, Outcome, SkipReason},
    plan::Section,
    run::{Phase, Slot},
};

/// Those for a failure come first, then those for every end.
pub(super) fn settle(draft: &mut Draft<'_>, stuck: &mut BTreeSet<Slot>) {
    match *draft.phase() {
        Phase::Handling { aborted_by: Some(_), .. } => cancel(draft, Section::Finally),
        Phase::Handling { ending, .. } if draft.run.open(Section::OnFailure) > 0 => {
            if is_failure(ending) {
                forward(draft, Section::OnFailure, stuck);
            } else {
                leave_out(draft);
            }
        }
        _ => forward(draft, Section::Finally, stuck),
    }
}

fn is_failure(ending: Outcome) -> bool {
    matches!(ending, Outcome::Failed | Outcome::RolledBack | Outcome::Aborted)
}

fn leave_out(draft: &mut Draft<'_>) {
    for slot in 0..draft.plan.steps.len() {
        let step = draft.step(slot);
        if step.section == Section::OnFailure && !step.state.is_over() {
            draft.emit(Event::StepSkipped { step: draft.id(slot), reason: SkipReason::NothingFailed });
        }
    }
}
