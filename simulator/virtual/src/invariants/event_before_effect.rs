//! Whatever an engine set off stood in the journal, durable, before it began.

use lifeboat_core::{event::Event, input::Purpose};

use super::Evidence;
use crate::{faults::word, truth::CallMade};

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    for call in &evidence.truth.calls {
        let durable = usize::try_from(call.durable).unwrap_or(usize::MAX).min(evidence.records.len());
        if !evidence.records[..durable].iter().any(|record| begins(&record.event, call)) {
            return Err(format!(
                "attempt {} of `{}` ({}) began before it was in the journal",
                call.attempt,
                call.step,
                word(call.purpose)
            ));
        }
    }
    Ok(())
}

fn begins(event: &Event, call: &CallMade) -> bool {
    let (step, number) = match (event, call.purpose) {
        (Event::StepStarted { step, attempt, .. }, Purpose::Run | Purpose::Verify)
        | (Event::ObservationStarted { step, attempt }, Purpose::Observe)
        | (Event::UndoStarted { step, attempt, .. }, Purpose::Undo) => (step, *attempt),
        _ => return false,
    };
    *step == call.step && number == call.attempt
}
