//! Which steps a decision has to look at.

use std::{
    collections::BTreeSet,
    ops::{Bound, Range},
};

use jiff::Timestamp;
use serde_json::Value;

use super::{Item, Phase, Run, Slot, StepRun, StepState};
use crate::{
    event::{Mode, Outcome},
    mutant::{self, Mutant},
    name::StepId,
    plan::{Section, StepIndex},
};

/// What a step waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Its needs have not all ended.
    Blocked,
    /// It can begin.
    Ready,
    /// This need cannot be met any more.
    Unmet(StepIndex),
}

impl Run {
    /// The place of a step, or of an item of a list.
    pub(crate) fn position(&self, id: &StepId) -> Option<Slot> {
        self.index.get(id).copied()
    }

    /// A step by its slot, which must exist.
    pub(crate) fn step(&self, slot: Slot) -> &StepRun {
        &self.steps[slot]
    }

    /// How many steps there are, items included.
    pub(crate) fn count(&self) -> usize {
        self.steps.len()
    }

    /// The step of the plan that stands in the slot, or of which it is an item.
    pub(crate) fn place(&self, slot: Slot) -> StepIndex {
        self.item_at(slot).map_or(slot, |item| item.of)
    }

    /// The item of a list that stands in the slot.
    pub(crate) fn item(&self, slot: Slot) -> Option<&Value> {
        self.item_at(slot).map(|item| &item.value)
    }

    fn item_at(&self, slot: Slot) -> Option<&Item> {
        self.items.get(slot.checked_sub(self.wiring.len())?)
    }

    /// The slots of the items of a list that was begun.
    pub(crate) fn items_of(&self, step: StepIndex) -> Option<Range<Slot>> {
        let first = self.items.iter().position(|item| item.of == step)?;
        let count = self.items[first..].iter().take_while(|item| item.of == step).count();
        let first = first + self.wiring.len();
        Some(first..first + count)
    }

    /// How many steps the plan has.
    pub(crate) fn planned(&self) -> usize {
        self.wiring.len()
    }

    /// All steps of the plan that this one needs, directly or not, the nearest first.
    pub(crate) fn before(&self, step: StepIndex) -> impl Iterator<Item = StepIndex> {
        self.wiring.needs.before(step)
    }

    /// Steps that have begun and are not over: something is in flight or owed for them, or they wait for an instant.
    pub(super) fn begun(&self) -> BTreeSet<Slot> {
        self.in_flight().chain(self.owed()).chain(self.agenda.timers.iter().map(|(_, slot)| *slot)).collect()
    }

    /// What a step of the plan waits for, as far as its needs are concerned. A need that was skipped because its own `when` is false
    /// counts as met, and so does one that a dry-run left out.
    pub(crate) fn readiness(&self, step: StepIndex, needs: &[StepIndex]) -> Readiness {
        if mutant::is_active(Mutant::AnyNeed) && needs.iter().any(|need| self.step(*need).state.is_over()) {
            return Readiness::Ready;
        }
        let state = |need: &StepIndex| &self.step(*need).state;
        if let Some(need) = needs.iter().find(|need| self.wiring.rules_out(step, **need, state(need))) {
            return Readiness::Unmet(*need);
        }
        let met = |need: &StepIndex| match state(need) {
            StepState::Succeeded { .. } | StepState::ResolvedByHand { .. } | StepState::Skipped { .. } => true,
            state => state.is_over() && !self.wiring.is_strict(step, *need),
        };
        if needs.iter().all(met) { Readiness::Ready } else { Readiness::Blocked }
    }

    /// Whether nothing may be changed.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.started.as_ref().is_some_and(|(_, started)| started.mode == Mode::DryRun)
    }

    /// Steps from which an event follows at once, first of all in plan order.
    pub(crate) fn owed(&self) -> impl Iterator<Item = Slot> {
        self.agenda.owed.iter().copied()
    }

    /// Steps whose time has passed, the earliest first.
    pub(crate) fn expired(&self, now: Timestamp) -> impl Iterator<Item = Slot> {
        self.agenda.timers.range(..=(now, Slot::MAX)).map(|(_, slot)| *slot)
    }

    /// When time alone changes something next.
    pub(crate) fn first_timer(&self) -> Option<Timestamp> {
        self.agenda.timers.first().map(|(at, _)| *at)
    }

    /// Whether time alone changes nothing but that questions to people expire.
    pub(crate) fn only_questions_expire(&self) -> bool {
        let is_question = |slot: Slot| matches!(self.steps[slot].state, StepState::Awaiting(_));
        self.agenda.timers.iter().all(|(_, slot)| is_question(*slot))
    }

    /// Waiting steps of the section that can begin, or cannot be done any more.
    pub(crate) fn ready(&self, section: Section) -> impl Iterator<Item = Slot> {
        self.agenda.ready.range(self.wiring.section(section)).copied()
    }

    /// Steps whose list is being worked on.
    pub(crate) fn fanned_out(&self) -> impl Iterator<Item = Slot> {
        self.agenda.fanned_out.iter().copied()
    }

    /// The first item of the list that has not begun.
    pub(crate) fn next_item(&self, step: StepIndex) -> Option<Slot> {
        self.agenda.fans.get(&step)?.waiting.first().copied()
    }

    /// How many items of the list are under way.
    pub(crate) fn busy_items(&self, step: StepIndex) -> usize {
        self.agenda.fans.get(&step).map_or(0, |fan| fan.busy)
    }

    /// Steps with a call or a question, in slot order.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = Slot> {
        self.agenda.in_flight.iter().copied()
    }

    /// How many calls are in flight.
    pub(crate) fn calls(&self) -> usize {
        self.agenda.calls
    }

    /// Steps that may have to be undone, the last one first: those that could not be and are wanted again, all of which lie behind
    /// the others, and those that were not looked at yet.
    pub(crate) fn undoable(&self) -> impl Iterator<Item = Slot> {
        let forward = mutant::is_active(Mutant::ForwardUndo);
        let before = self.agenda.taken_back_to.map_or(Bound::Unbounded, Bound::Excluded);
        let last = self.agenda.undoable.range((Bound::Unbounded, before)).rev().filter(move |_| !forward);
        let again = self.agenda.undoable_again.iter().rev();
        again.chain(last).chain(self.agenda.undoable.iter().filter(move |_| forward)).map(|(_, slot)| *slot)
    }

    /// How many steps of the section are not over.
    pub(crate) fn open(&self, section: Section) -> usize {
        self.agenda.open(section)
    }

    /// Whether anything is done when the recovery has ended.
    pub(crate) fn has_handlers(&self) -> bool {
        self.wiring.section(Section::Steps).end < self.wiring.len()
    }

    /// How the recovery would end now; `None` while one of its steps is not over, or an undo is still to begin.
    pub(crate) fn ending_now(&self) -> Option<Outcome> {
        if self.open(Section::Steps) > 0 {
            return None;
        }
        match &self.phase {
            Phase::NotStarted | Phase::Finished { .. } | Phase::Stopping { undo: true, .. } => None,
            Phase::Stopping { aborted_by: Some(_), .. } | Phase::Undoing { aborted_by: Some(_) } => {
                Some(Outcome::Aborted)
            }
            Phase::Stopping { .. } => Some(Outcome::Failed),
            Phase::Undoing { .. } if self.agenda.undo_failed > 0 => Some(Outcome::Failed),
            Phase::Undoing { .. } => Some(Outcome::RolledBack),
            Phase::Handling { ending, .. } => Some(*ending),
            Phase::Running if self.is_dry_run() => Some(Outcome::DryRun),
            Phase::Running if self.agenda.exceptions(Section::Steps) == 0 => Some(Outcome::Succeeded),
            Phase::Running => Some(Outcome::SucceededWithExceptions),
        }
    }

    /// How the run would end now, its handlers included.
    pub(crate) fn outcome_now(&self) -> Option<Outcome> {
        let handlers = [Section::OnFailure, Section::Finally];
        if handlers.iter().any(|section| self.open(*section) > 0) {
            return None;
        }
        let ending = self.ending_now()?;
        let exceptions = handlers.iter().any(|section| self.agenda.exceptions(*section) > 0);
        Some(if exceptions && ending == Outcome::Succeeded { Outcome::SucceededWithExceptions } else { ending })
    }
}
