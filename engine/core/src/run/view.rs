//! What a transition looks at. A run is one view; a decision in the making, which lays changes over a run, is the other.

use super::{Phase, Run, StepRun, StepState};
use crate::{
    event::{Mode, Outcome},
    name::StepId,
    plan::StepIndex,
};

/// A state of a run, complete or laid over another.
pub(crate) trait View {
    /// Where the run is as a whole.
    fn phase(&self) -> &Phase;
    /// The place of a step.
    fn position(&self, id: &StepId) -> Option<StepIndex>;
    /// A step by its place, which must exist.
    fn step(&self, index: StepIndex) -> &StepRun;
    /// How many steps there are.
    fn count(&self) -> usize;
    /// Whether nothing may be changed.
    fn is_dry_run(&self) -> bool;

    /// How the run would end now; `None` while a step is not over, or an undo is due.
    fn outcome_now(&self) -> Option<Outcome> {
        let states = || (0..self.count()).map(|index| &self.step(index).state);
        if !states().all(StepState::is_over) {
            return None;
        }
        match self.phase() {
            Phase::NotStarted | Phase::Finished { .. } | Phase::Stopping { undo: true, aborted_by: None } => None,
            Phase::Stopping { aborted_by: Some(_), .. } | Phase::Undoing { aborted_by: Some(_) } => {
                Some(Outcome::Aborted)
            }
            Phase::Stopping { .. } => Some(Outcome::Failed),
            Phase::Undoing { .. } if states().any(|state| matches!(state, StepState::UndoFailed { .. })) => {
                Some(Outcome::Failed)
            }
            Phase::Undoing { .. } => Some(Outcome::RolledBack),
            Phase::Running if self.is_dry_run() => Some(Outcome::DryRun),
            Phase::Running if states().all(|state| matches!(state, StepState::Succeeded { .. })) => {
                Some(Outcome::Succeeded)
            }
            Phase::Running => Some(Outcome::SucceededWithExceptions),
        }
    }
}

impl View for Run {
    fn phase(&self) -> &Phase {
        &self.phase
    }

    fn position(&self, id: &StepId) -> Option<StepIndex> {
        self.index.get(id).copied()
    }

    fn step(&self, index: StepIndex) -> &StepRun {
        &self.steps[index]
    }

    fn count(&self) -> usize {
        self.steps.len()
    }

    fn is_dry_run(&self) -> bool {
        self.started.as_ref().is_some_and(|(_, started)| started.mode == Mode::DryRun)
    }
}
