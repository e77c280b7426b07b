//! What follows if the effect of an attempt is unknown. It is never silently repeated unless repeating does no harm.
//!
//! If the engine ended, its supervisor starts it again, and the run continues by itself: what ends that is time, never a count. So
//! that an action which takes its engine with it costs little until then, attempts that follow each other at once begin farther and
//! farther apart; one that ran for longer than that is followed by the next one at once.

use jiff::{SignedDuration, Timestamp};

use super::{CUT_OFF_MAX, Draft, ENGINE_ENDED_MAX, backoff};
use crate::{
    event::Event,
    failure::{Failure, Reason},
    mutant::{self, Mutant},
    plan::Invocation,
    run::{Attempt, EngineEnded, Slot, StepState},
};

/// How often the engine may end before attempts are kept apart.
const AT_ONCE: u32 = 3;
/// The least time between the beginnings of two attempts, doubled each time.
const APART: SignedDuration = SignedDuration::from_secs(1);
const APART_MAX: SignedDuration = SignedDuration::from_mins(1);

/// The engine ended during the attempt.
pub(super) fn settle(draft: &mut Draft<'_>, index: Slot, attempt: &Attempt) {
    let Some(action) = draft.planned(index).action() else { return };
    let harmless = action.idempotent || draft.is_dry_run() || mutant::is_active(Mutant::BlindRepeat);
    let too_long = too_long(draft, index);
    if !harmless || too_long.is_some() {
        find_out(draft, index, attempt, action, too_long.unwrap_or_else(ended));
    } else if draft.goes_on() && draft.has_time(index, draft.now) {
        let until = next_begins(draft, index, attempt);
        draft.emit(Event::RetryScheduled { step: draft.id(index), until });
    } else {
        draft.emit(Event::StepFailed { step: draft.id(index), failure: Failure::Interrupted(ended()) });
    }
}

/// The plugin says that the attempt did not take effect.
pub(super) fn not_done(draft: &mut Draft<'_>, index: Slot, number: u32) {
    let StepState::Observing(attempt) = &draft.step(index).state else { return };
    let until = next_begins(draft, index, attempt);
    let step = draft.id(index);
    // What would end the step has to wait for the end of a pause.
    let paused = draft.run.pause.is_some();
    if let Some(reason) = too_long(draft, index).or_else(|| too_often(draft, index)).filter(|_| !paused) {
        draft.emit(Event::StepFailed { step, failure: Failure::Permanent(reason) });
        return;
    }
    draft.emit(Event::ObservedNotDone { step: step.clone(), attempt: number });
    if until > draft.now && draft.goes_on() {
        draft.emit(Event::RetryScheduled { step, until });
    }
}

/// The plugin is asked where it can tell, and a person where it cannot.
pub(super) fn find_out(draft: &mut Draft<'_>, index: Slot, attempt: &Attempt, action: &Invocation, reason: Reason) {
    let step = draft.id(index);
    if action.observable {
        draft.emit(Event::ObservationStarted { step, attempt: attempt.number });
    } else {
        draft.emit(Event::OperatorAsked { step, reason });
    }
}

fn ended() -> Reason {
    Reason::new("run-interrupted", "the engine ended while it ran")
}

/// When the attempt after this one begins: now, unless engines ended at once again and again. A step that has time left uses it.
fn next_begins(draft: &Draft<'_>, index: Slot, attempt: &Attempt) -> Timestamp {
    let times = draft.step(index).engine_ended.map_or(0, |ended| ended.times);
    let Some(beyond) = times.checked_sub(AT_ONCE).filter(|beyond| *beyond > 0) else { return draft.now };
    let apart = backoff::exponential(APART, APART_MAX, beyond);
    let until = attempt.started.checked_add(apart).unwrap_or(Timestamp::MAX).clamp(draft.now, draft.after(apart));
    if draft.has_time(index, until) { until } else { draft.now }
}

/// Engines have ended during the step for longer than it continues by itself.
fn too_long(draft: &Draft<'_>, index: Slot) -> Option<Reason> {
    let EngineEnded { times, since } = draft.step(index).engine_ended?;
    let limited = draft.planned(index).time_limit.is_some();
    (!limited && draft.now.duration_since(since) >= ENGINE_ENDED_MAX).then(|| {
        let hours = ENGINE_ENDED_MAX.as_hours();
        let message = format!("the engine ended {times} times while it ran, for more than {hours} h since {since:.0}");
        Reason::new("run-interrupted-often", message)
    })
}

/// A living engine cut the step off, by its time or a lost answer, as often as it may.
fn too_often(draft: &Draft<'_>, index: Slot) -> Option<Reason> {
    let step = draft.step(index);
    let times = step.interruptions.saturating_sub(step.engine_ended.map_or(0, |ended| ended.times));
    (times >= CUT_OFF_MAX).then(|| {
        let message = format!("it was cut off {times} times without taking effect");
        Reason::new("run-interrupted-often", message)
    })
}
