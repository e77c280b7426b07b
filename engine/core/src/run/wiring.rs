//! What the bookkeeping of a run needs to know of its plan: who waits for whom, and what can be undone.

use std::ops::Range;

use super::StepState;
use crate::{
    event::SkipReason,
    needs::Needs,
    plan::{CallIndex, Plan, Section, Step, StepIndex, StepKind},
};

/// Who waits for whom, and one entry a step of the plan, in plan order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wiring {
    pub(super) needs: Needs,
    wires: Vec<Wire>,
}

/// What a step is connected with, apart from what it needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wire {
    /// Which part of the runbook it belongs to.
    pub(super) section: Section,
    /// Whether it says how it is undone. What is done at the end of a run is not.
    pub(super) has_undo: bool,
    /// Whether its action can be repeated, or it has none: a failure that passes may have left a part of the work.
    pub(super) is_repeatable: bool,
    /// Whether it is a question to people.
    is_approval: bool,
    /// The outermost call of a runbook that it stands in.
    call: Option<CallIndex>,
    /// Whether it is done for each item of a list: then its items are undone.
    pub(super) is_list: bool,
}

impl Wiring {
    pub(super) fn of(plan: &Plan) -> Self {
        let wire = |step: &Step| Wire {
            section: step.section,
            has_undo: step.undo.is_some() && step.section == Section::Steps,
            is_repeatable: step.action().is_none_or(|action| action.idempotent),
            is_approval: matches!(step.kind, StepKind::Approve { .. }),
            call: outermost(plan, step.within),
            is_list: step.each.is_some(),
        };
        Self { needs: plan.needs(), wires: plan.steps.iter().map(wire).collect() }
    }

    pub(super) fn of_step(&self, place: StepIndex) -> &Wire {
        &self.wires[place]
    }

    /// Whether the step cannot be done any more because of what became of one that it needs. A handler only waits until its needs
    /// are over, because people are told whatever else went wrong; but what people did not say yes to is not done, and neither is
    /// what would come next in a runbook that a handler calls.
    pub(super) fn rules_out(&self, step: StepIndex, need: StepIndex, state: &StepState) -> bool {
        let left_out = matches!(state, StepState::Skipped { reason: SkipReason::NeedNotMet { .. } });
        let own = self.of_step(step).section == Section::Steps;
        let cut_off = matches!(state, StepState::Cancelled) && !own;
        let lost = left_out || cut_off || matches!(state, StepState::Failed { .. });
        lost && (self.is_strict(step, need) || self.of_step(need).is_approval)
    }

    /// Whether the step begins only where this need was done, not merely over.
    pub(super) fn is_strict(&self, step: StepIndex, need: StepIndex) -> bool {
        let (step, need) = (self.of_step(step), self.of_step(need));
        step.section == Section::Steps || step.call.is_some() && step.call == need.call
    }

    /// How many steps the plan has.
    pub(super) fn len(&self) -> usize {
        self.wires.len()
    }

    /// The places of the steps of that section.
    pub(super) fn section(&self, section: Section) -> Range<StepIndex> {
        let start = self.wires.partition_point(|wire| wire.section < section);
        start..self.wires.partition_point(|wire| wire.section <= section)
    }
}

fn outermost(plan: &Plan, call: Option<CallIndex>) -> Option<CallIndex> {
    let mut call = call?;
    while let Some(outer) = plan.called.get(call).and_then(|call| call.within) {
        call = outer;
    }
    Some(call)
}
