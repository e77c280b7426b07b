//! What the bookkeeping of a run needs to know of its plan: who waits for whom, and what can be taken back.

use std::ops::Range;

use crate::plan::{Plan, Section, Step, StepIndex, StepKind};

/// One entry a step of the plan, in plan order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wiring {
    wires: Vec<Wire>,
}

/// What a step is connected with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wire {
    /// How many steps it needs.
    pub(super) needs: usize,
    /// The steps that need it.
    pub(super) dependents: Vec<StepIndex>,
    /// Which part of the runbook it belongs to.
    pub(super) section: Section,
    /// Whether it says how it is taken back.
    pub(super) has_undo: bool,
    /// Whether its action can be repeated, or it has none: a failure that passes may have left a part of the work.
    pub(super) is_repeatable: bool,
    /// Whether it is a question to people.
    pub(super) is_approval: bool,
    /// Whether it is done for each item of a list: then its items are taken back.
    pub(super) is_list: bool,
}

impl Wiring {
    pub(super) fn of(plan: &Plan) -> Self {
        let wire = |step: &Step| Wire {
            needs: step.needs.len(),
            dependents: Vec::new(),
            section: step.section,
            has_undo: step.undo.is_some(),
            is_repeatable: step.action().is_none_or(|action| action.idempotent),
            is_approval: matches!(step.kind, StepKind::Approve { .. }),
            is_list: step.each.is_some(),
        };
        let mut wires: Vec<Wire> = plan.steps.iter().map(wire).collect();
        for (index, step) in plan.steps.iter().enumerate() {
            step.needs.iter().for_each(|need| wires[*need].dependents.push(index));
        }
        Self { wires }
    }

    pub(super) fn of_step(&self, place: StepIndex) -> &Wire {
        &self.wires[place]
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
