//! Takes in what an operator wants, and goes on as far as that is possible in a paused run.

use super::{Draft, failed};
use crate::{
    input::Input,
    operator::{Command, Request, judge},
    plan::{Step, StepKind},
    run::{Settling, Slot, StepState},
};

/// A refused request changes nothing: who drives the run has asked `judge` too, and tells the person.
pub(super) fn take(draft: &mut Draft<'_>, request: &Request) {
    if let Ok(event) = judge(draft.plan, draft.run, request, draft.now) {
        draft.emit(event);
    }
}

/// What was answered where the engine asked, as a request: the same rules hold for it.
pub fn request(input: &Input) -> Option<Request> {
    let (who, command) = match input.clone() {
        Input::Command(request) => return Some(*request),
        Input::Approval { step, who, approved: true, comment } => (who, Command::Approve { step, comment }),
        Input::Approval { step, who, approved: false, comment } => (who, Command::Reject { step, comment }),
        Input::Operator { step, who, answer } => (who, Command::Decide { step, answer }),
        Input::Abort { who, reason } => (who, Command::Abort { reason: Some(reason), undo: false }),
        _ => return None,
    };
    Some(Request { who, groups: std::collections::BTreeSet::new(), command })
}

/// In a paused run only that is settled which begins nothing and ends nothing for good.
pub(super) fn settle_paused(draft: &mut Draft<'_>) {
    for slot in draft.run.owed().collect::<Vec<_>>() {
        settle_step(draft, slot);
    }
}

fn settle_step(draft: &mut Draft<'_>, index: Slot) {
    if !settles_in_a_pause(draft.planned(index), &draft.step(index).state) {
        return;
    }
    if let StepState::Settling(known) = &draft.step(index).state {
        let known = known.clone();
        failed::settle(draft, index, known);
    }
}

/// Whether one more event follows for the step although the run is paused.
pub(crate) fn settles_in_a_pause(planned: &Step, state: &StepState) -> bool {
    match state {
        StepState::Settling(Settling::Approval { approved, .. }) => *approved,
        StepState::Settling(Settling::Hands { evidence, .. }) => {
            matches!(&planned.kind, StepKind::Manual { verify: None, evidence: wanted, .. }
                if failed::evidence_problem(wanted, evidence).is_none())
        }
        StepState::Settling(Settling::Decision { answer, .. }) => {
            matches!(answer, crate::event::OperatorAnswer::ItHappened { .. })
        }
        _ => false,
    }
}
