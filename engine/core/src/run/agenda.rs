//! Which steps want attention, so that a decision costs what it changes and not a walk over all steps.
//!
//! Everything here follows from the states of the steps. `apply` keeps it true at each event; a test compares it with what a
//! walk over all steps finds.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Slot, StepRun, StepState, wiring::Wiring};
use crate::{
    mutant::{self, Mutant},
    plan::{Section, StepIndex},
};

/// The steps of a run, sorted by what they wait for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Agenda {
    /// A call or a question is due.
    pub(super) in_flight: BTreeSet<Slot>,
    /// How many of these are calls.
    pub(super) calls: usize,
    /// When time alone changes something.
    pub(super) timers: BTreeSet<(Timestamp, Slot)>,
    /// Something is known of which the consequence is not recorded yet.
    pub(super) owed: BTreeSet<Slot>,
    /// Waiting, with nothing left to wait for: steps of the plan, by section.
    pub(super) ready: BTreeSet<Slot>,
    /// Steps that may have to be undone, in the order in which they stand in the plan.
    pub(super) undoable: BTreeSet<(StepIndex, Slot)>,
    /// Steps whose undo has failed, and for which a person requested another undo.
    pub(super) undoable_again: BTreeSet<(StepIndex, Slot)>,
    /// How far taking back has come: what stands behind it was looked at, and is not looked at again.
    pub(super) taken_back_to: Option<(StepIndex, Slot)>,
    /// Steps whose list is being worked on.
    pub(super) fanned_out: BTreeSet<StepIndex>,
    /// Where the items of every list stand that has some left to do.
    pub(super) fans: BTreeMap<StepIndex, Fan>,
    /// Steps that could not be undone.
    pub(super) undo_failed: usize,
    /// By section: steps that are not over, and steps that are and did not succeed.
    tallies: BTreeMap<Section, Tally>,
    /// For each step of the plan: needs that are not over, and needs that cannot be met any more.
    needs: Vec<NeedTally>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Tally {
    open: usize,
    exceptions: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct NeedTally {
    all: usize,
    open: usize,
    unmet: usize,
}

/// How a step that another one needs stands, for that one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    /// It is not over.
    pub(super) open: bool,
    /// Because of it the other one cannot be done any more.
    pub(super) unmet: bool,
}

/// Where the items of a `for_each` stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fan {
    /// Items that have not begun.
    pub(super) waiting: BTreeSet<Slot>,
    /// Items that have begun and are not over.
    pub(super) busy: usize,
}

impl Agenda {
    pub(super) fn of(wiring: &Wiring, steps: &[StepRun]) -> Self {
        let open = |place| {
            let all = wiring.needs.of_step(place).count();
            NeedTally { all, open: all, unmet: 0 }
        };
        let mut agenda = Self { needs: (0..wiring.len()).map(open).collect(), ..Self::default() };
        steps.iter().enumerate().for_each(|(slot, step)| agenda.insert(wiring, slot, slot, step));
        agenda
    }

    /// How many steps of the section are not over.
    pub(super) fn open(&self, section: Section) -> usize {
        self.tallies.get(&section).map_or(0, |tally| tally.open)
    }

    /// How many steps of the section are over and did not succeed.
    pub(super) fn exceptions(&self, section: Section) -> usize {
        self.tallies.get(&section).map_or(0, |tally| tally.exceptions)
    }

    /// Takes in a step, or the state that an event left it in. `place` is where its step stands in the plan: for an item of a
    /// list that is not its own slot.
    pub(super) fn insert(&mut self, wiring: &Wiring, slot: Slot, place: StepIndex, step: &StepRun) {
        let wire = wiring.of_step(place);
        let state = &step.state;
        if state.is_call() || matches!(state, StepState::Awaiting(_)) {
            self.in_flight.insert(slot);
        }
        self.calls += usize::from(state.is_call());
        self.timers.extend(step.wakes_at().map(|at| (at, slot)));
        if matches!(state, StepState::Interrupted(_) | StepState::Settling(_)) {
            self.owed.insert(slot);
        }
        if wire.has_undo && step.may_be_taken_back() && !(wire.is_list && slot == place) {
            self.undoable.insert((place, slot));
        }
        if matches!(state, StepState::UndoFailed { wanted: true, .. }) {
            self.undoable_again.insert((place, slot));
        }
        if state.is_taken_back() {
            self.taken_back_to = Some(self.taken_back_to.map_or((place, slot), |to| to.min((place, slot))));
        }
        self.undo_failed += usize::from(matches!(state, StepState::UndoFailed { .. }));
        let tally = self.tallies.entry(wire.section).or_default();
        tally.open += usize::from(!state.is_over());
        tally.exceptions += usize::from(state.is_exception());
        if let StepState::FannedOut { .. } = state {
            self.fanned_out.insert(slot);
        }
        if slot == place {
            self.judge(slot, state);
        } else {
            self.insert_item(slot, place, state);
        }
    }

    /// Forgets the state in which a step was.
    pub(super) fn remove(&mut self, wiring: &Wiring, slot: Slot, place: StepIndex, step: &StepRun) {
        let state = &step.state;
        self.in_flight.remove(&slot);
        self.calls -= usize::from(state.is_call());
        if let Some(at) = step.wakes_at() {
            self.timers.remove(&(at, slot));
        }
        self.owed.remove(&slot);
        self.ready.remove(&slot);
        self.fanned_out.remove(&slot);
        self.undoable.remove(&(place, slot));
        self.undoable_again.remove(&(place, slot));
        self.undo_failed -= usize::from(matches!(state, StepState::UndoFailed { .. }));
        let tally = self.tallies.entry(wiring.of_step(place).section).or_default();
        tally.open -= usize::from(!state.is_over());
        tally.exceptions -= usize::from(state.is_exception());
        if slot != place {
            let fan = self.fans.entry(place).or_default();
            fan.waiting.remove(&slot);
            fan.busy -= usize::from(is_busy(state));
            self.forget_if_idle(place);
        }
    }

    /// Takes in what the change of a step means for one that needs it, whose own state is given too.
    pub(super) fn need_changed(&mut self, dependent: StepIndex, before: Need, after: Need, own: &StepState) {
        let needs = &mut self.needs[dependent];
        needs.open = needs.open + usize::from(after.open) - usize::from(before.open);
        needs.unmet = needs.unmet + usize::from(after.unmet) - usize::from(before.unmet);
        self.judge(dependent, own);
    }

    fn judge(&mut self, slot: Slot, state: &StepState) {
        let needs = self.needs[slot];
        let any = mutant::is_active(Mutant::AnyNeed) && needs.open < needs.all;
        if matches!(state, StepState::Waiting) && (needs.open == 0 || needs.unmet > 0 || any) {
            self.ready.insert(slot);
        } else {
            self.ready.remove(&slot);
        }
    }

    fn insert_item(&mut self, slot: Slot, place: StepIndex, state: &StepState) {
        let fan = self.fans.entry(place).or_default();
        fan.busy += usize::from(is_busy(state));
        if matches!(state, StepState::Waiting) {
            fan.waiting.insert(slot);
        }
        self.forget_if_idle(place);
    }

    fn forget_if_idle(&mut self, place: StepIndex) {
        if self.fans.get(&place).is_some_and(|fan| fan.busy == 0 && fan.waiting.is_empty()) {
            self.fans.remove(&place);
        }
    }
}

fn is_busy(state: &StepState) -> bool {
    !state.is_over() && !matches!(state, StepState::Waiting)
}
