//! What a runbook does in some case that its author cannot want, one file each. Like the invariants they look at the plan, the
//! journal, what really happened and how the lives of the engine ended; what they find is a flaw of the runbook, never of the
//! engine.
//!
//! What follows from the plan alone is found out once ([`Watch::new`]), so that a case costs next to nothing where there is nothing
//! to be found.

mod approval_late;
mod failure_untold;
mod identity_unproved;
pub(super) mod never_succeeds;
#[cfg(test)]
mod tests;
mod time_too_short;
mod undo_fails;
mod unreachable;
mod unverified;
mod waits_for_ever;

use std::collections::BTreeSet;

use lifeboat_core::{
    action::Effect,
    event::{Event, Outcome, SkipReason},
    name::{RoleName, StepId},
    plan::{Invocation, Plan, Step},
    types::TargetKind,
};

pub(super) use self::{time_too_short::tries_again_after_time_out, unreachable::Begun};
use super::{
    lives::{LifeEnd, Played},
    subject::Subject,
};

/// A kind of flaw that has a name and a page (`lifeboat explain CODE`).
#[derive(Debug, Clone, Copy)]
pub struct Lint {
    /// Its code.
    pub code: &'static str,
    /// What is wrong with a runbook in which it is found, in one line.
    pub says: &'static str,
    /// `None` where one case alone shows nothing.
    look: Option<Look>,
}

type Look = fn(&Scene<'_>) -> Vec<Flawed>;

/// A step, and what is wrong with it.
type Flawed = (StepId, String);

/// A flaw of a runbook that a case shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The code of the lint.
    pub code: &'static str,
    /// Which step has it.
    pub step: StepId,
    /// What is wrong.
    pub why: String,
}

/// Every lint, in the order of the documentation.
pub const ALL: [Lint; 9] = [
    Lint {
        code: "path-waits-for-ever",
        says: "somebody is asked, nobody comes, and nothing ever ends the wait",
        look: Some(waits_for_ever::look),
    },
    Lint {
        code: "path-failure-untold",
        says: "something was destroyed, then the run failed, and nobody is told",
        look: Some(failure_untold::look),
    },
    Lint { code: "path-undo-fails", says: "an undo cannot work", look: Some(undo_fails::look) },
    Lint {
        code: "path-approval-late",
        says: "an approval comes after the destruction that it should guard",
        look: Some(approval_late::look),
    },
    Lint { code: unreachable::CODE, says: "a step never runs", look: None },
    Lint { code: never_succeeds::CODE, says: "a step runs and never succeeds", look: None },
    Lint {
        code: "path-unverified",
        says: "a run succeeded, and nothing looked at what it had changed",
        look: Some(unverified::look),
    },
    Lint {
        code: "path-time-too-short",
        says: "the time of a whole step is over before its attempts are used up",
        look: Some(time_too_short::look),
    },
    Lint {
        code: "path-identity-unproved",
        says: "a step destroys on a system without a proven identity",
        look: Some(identity_unproved::look),
    },
];

/// What of a plan is worth looking at.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    subject: &'a Subject,
    /// Whether any step destroys something.
    destroys: bool,
    guards: Vec<approval_late::Guard>,
    changers: Vec<unverified::Changer>,
    timed: Vec<time_too_short::Timed>,
}

/// A case, and what is worth looking at in it.
struct Scene<'a> {
    watch: &'a Watch<'a>,
    played: &'a Played,
}

impl<'a> Watch<'a> {
    pub(super) fn new(subject: &'a Subject) -> Self {
        let plan = &subject.plan;
        Self {
            subject,
            destroys: plan.steps.iter().any(|step| destroyed(step).next().is_some()),
            guards: approval_late::guards(plan),
            changers: unverified::changers(plan),
            timed: time_too_short::timed(plan),
        }
    }

    /// The flaws that a case shows.
    pub(super) fn findings(&self, played: &Played) -> Vec<Finding> {
        let scene = Scene { watch: self, played };
        let found = |lint: &Lint| {
            let flawed = lint.look.map(|look| look(&scene)).unwrap_or_default();
            let code = lint.code;
            flawed.into_iter().map(move |(step, why)| Finding { code, step, why })
        };
        ALL.iter().flat_map(found).collect()
    }
}

impl Scene<'_> {
    fn plan(&self) -> &Plan {
        &self.watch.subject.plan
    }

    /// How the run ended, where it did.
    fn outcome(&self) -> Option<Outcome> {
        match self.played.lives.last() {
            Some(LifeEnd::Finished(outcome)) => Some(*outcome),
            _ => None,
        }
    }
}

/// The roles on which the step's action may destroy something.
fn destroyed(step: &Step) -> impl Iterator<Item = &RoleName> {
    with_effect(step.action(), |effect| effect == Effect::Destroy)
}

/// The systems that the step's action changes. Telling people leaves them as they were.
fn changed<'a>(plan: &'a Plan, step: &'a Step) -> impl Iterator<Item = &'a RoleName> {
    with_effect(step.action(), |effect| effect > Effect::Read).filter(move |role| !reaches_people(plan, role))
}

fn with_effect(action: Option<&Invocation>, which: impl Fn(Effect) -> bool) -> impl Iterator<Item = &RoleName> {
    let grants = action.into_iter().flat_map(|action| &action.grants);
    grants.filter(move |(_, effect)| which(**effect)).map(|(role, _)| role)
}

fn reaches_people(plan: &Plan, role: &RoleName) -> bool {
    plan.targets.get(role).is_some_and(|target| target.kind == TargetKind::Notify)
}

/// The places of the steps that wait, directly or not, for the one in that place. A need always stands before the step that has it.
fn behind(plan: &Plan, place: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    for (later, step) in plan.steps.iter().enumerate().skip(place + 1) {
        if step.needs.iter().any(|need| *need == place || found.contains(need)) {
            found.insert(later);
        }
    }
    found
}

/// Whether a person left out a step, did its work, or had it done once more.
fn is_persons_doing(event: &Event) -> bool {
    matches!(
        event,
        Event::StepSkipped { reason: SkipReason::ByOperator { .. }, .. }
            | Event::ResolvedByHand { reason: Some(_), .. }
            | Event::StepsReopened { .. }
    )
}

/// Names of steps or roles in a sentence.
fn list(names: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
