//! What must hold in every case, one file each. They look at the plan, the journal, what really happened and how the lives of the
//! engine ended, never into the engine.

mod clock_forward;
mod event_before_effect;
mod identity_first;
mod needs_first;
mod never_hangs;
mod nothing_lost;
mod once_only;
mod one_attempt;
mod same_end;
mod success_is_real;
#[cfg(test)]
mod tests;
mod undo_complete;

use lifeboat_core::{
    event::{Event, Outcome, SkipReason},
    name::StepId,
    plan::Plan,
};
use lifeboat_runtime::journal::Recorded;

use super::{
    lives::{LifeEnd, Played},
    truth::Truth,
};

/// A rule that has a name, a page (`lifeboat explain CODE`), and a function that says what breaks it.
#[derive(Debug, Clone, Copy)]
pub struct Invariant {
    /// Its code.
    pub code: &'static str,
    /// What it says, in one line.
    pub says: &'static str,
    holds: fn(&Evidence<'_>) -> Result<(), String>,
}

/// Everything that an invariant may look at.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Every record of the journal, as it was written.
    pub records: &'a [Recorded],
    /// The bytes of the journal.
    pub journal: &'a [u8],
    /// What really happened.
    pub truth: &'a Truth,
    /// How each life of the engine ended.
    pub lives: &'a [LifeEnd],
    /// How the run stands in the end; where it is compared, of the playing that can be.
    pub ending: &'a Ending,
    /// How it stood in the end of the same case without what must not matter, where the two can be compared.
    pub undisturbed: Option<&'a Ending>,
}

/// How a run stands in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// How it ended; `None` where it is not over.
    pub outcome: Option<Outcome>,
    /// Each step, with the word for its state, in the order of their names: items of lists come in the order in which the lists begin.
    pub steps: Vec<(StepId, &'static str)>,
}

impl Ending {
    /// Of a case that was played.
    pub fn of(played: &Played) -> Self {
        let steps = played.run.steps.iter().map(|step| (step.id.clone(), step.state.word()));
        let mut steps: Vec<_> = steps.collect();
        steps.sort_unstable();
        Self { outcome: played.run.outcome(), steps }
    }
}

/// An invariant that does not hold, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its code.
    pub code: &'static str,
    /// What breaks it.
    pub why: String,
}

/// Every invariant, in the order of the documentation.
pub const ALL: [Invariant; 12] = [
    Invariant {
        code: "test-one-attempt",
        says: "at most one attempt of a step is in flight",
        holds: one_attempt::holds,
    },
    Invariant { code: "test-needs-first", says: "no step begins before what it needs", holds: needs_first::holds },
    Invariant {
        code: "test-identity-first",
        says: "nothing is destroyed before its identity was compared",
        holds: identity_first::holds,
    },
    Invariant {
        code: "test-once-only",
        says: "what cannot be repeated never takes effect twice",
        holds: once_only::holds,
    },
    Invariant { code: "test-never-hangs", says: "the run ends, or waits for somebody", holds: never_hangs::holds },
    Invariant {
        code: "test-same-end",
        says: "a run that was interrupted comes to the same end as one that was not",
        holds: same_end::holds,
    },
    Invariant {
        code: "test-undo-complete",
        says: "a run that was rolled back leaves nothing that it can undo",
        holds: undo_complete::holds,
    },
    Invariant {
        code: "test-event-before-effect",
        says: "whatever happened was in the journal before",
        holds: event_before_effect::holds,
    },
    Invariant { code: "test-nothing-lost", says: "nothing is lost from the journal", holds: nothing_lost::holds },
    Invariant { code: "test-clock-forward", says: "the clock of the run never goes back", holds: clock_forward::holds },
    Invariant {
        code: "test-success-is-real",
        says: "what is reported as succeeded did succeed, every check included",
        holds: success_is_real::holds,
    },
    // One playing of a case cannot show it.
    Invariant { code: SAME_AGAIN, says: "a case that is played again has the same result", holds: |_| Ok(()) },
];

const SAME_AGAIN: &str = "test-same-again";

/// A case showed what is named so, and does not when it is played again: nothing that it says can be relied on.
pub(super) fn not_again(code: &str) -> Broken {
    let why = format!("this case broke `{code}` when it was played first, but not when it was played again");
    Broken { code: SAME_AGAIN, why }
}

/// The invariants that do not hold.
pub fn broken(evidence: &Evidence<'_>) -> Vec<Broken> {
    let hold = |invariant: &Invariant| {
        let why = (invariant.holds)(evidence).err()?;
        Some(Broken { code: invariant.code, why })
    };
    ALL.iter().filter_map(hold).collect()
}

fn may_come_after_the_end(event: &Event) -> bool {
    matches!(
        event,
        Event::StepSkipped { reason: SkipReason::ByOperator { .. }, .. }
            | Event::SkipScheduled { .. }
            | Event::ResolvedByHand { reason: Some(_), .. }
    )
}

impl<'a> Evidence<'a> {
    /// What a case that was played shows.
    pub(super) fn of(plan: &'a Plan, played: &'a Played, ending: &'a Ending, undisturbed: Option<&'a Ending>) -> Self {
        let Played { records, journal, truth, lives, .. } = played;
        Self { plan, records, journal, truth, lives, ending, undisturbed }
    }

    /// The events about a step.
    fn events_of(&self, step: &StepId) -> impl Iterator<Item = &Recorded> {
        self.records.iter().filter(move |record| record.event.step() == Some(step))
    }

    /// How the run ended, as the journal says it. People can tell a run that is over something that does not let it go on.
    fn outcome(&self) -> Option<Outcome> {
        let events = self.records.iter().rev().map(|record| &record.event);
        match events.into_iter().find(|event| !may_come_after_the_end(event)) {
            Some(Event::RunFinished { outcome }) => Some(*outcome),
            _ => None,
        }
    }
}
