//! What follows where nobody knows how far an attempt came. Never silently repeated unless repeating does no harm.

use super::{Draft, INTERRUPTIONS_MAX};
use crate::{
    event::Event,
    failure::{Failure, Reason},
    mutant::{self, Mutant},
    plan::Invocation,
    run::{Attempt, Slot},
};

/// The engine ended during the attempt.
pub(super) fn settle(draft: &mut Draft<'_>, index: Slot, attempt: &Attempt) {
    let Some(action) = draft.planned(index).action() else { return };
    let reason = Reason::new("run-interrupted", "the engine ended while it ran");
    let often = draft.step(index).interruptions > INTERRUPTIONS_MAX;
    let step = draft.id(index);
    let harmless = action.idempotent || draft.is_dry_run() || mutant::is_active(Mutant::BlindRepeat);
    if !harmless || often {
        find_out(draft, index, attempt, action, reason);
    } else if draft.goes_on() && draft.has_time(index, draft.now) {
        draft.emit(Event::RetryScheduled { step, until: draft.now });
    } else {
        draft.emit(Event::StepFailed { step, failure: Failure::Interrupted(reason) });
    }
}

/// The plugin is asked where it can tell, and a person where it can not.
pub(super) fn find_out(draft: &mut Draft<'_>, index: Slot, attempt: &Attempt, action: &Invocation, reason: Reason) {
    let step = draft.id(index);
    if action.observable {
        draft.emit(Event::ObservationStarted { step, attempt: attempt.number });
    } else {
        draft.emit(Event::OperatorAsked { step, reason });
    }
}
