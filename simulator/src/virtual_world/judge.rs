//! Plays a case and holds what must hold against it.

use lifeboat_core::plan::{Step, StepKind};

use super::{
    case::Case,
    invariants::{self, Broken, Ending, Evidence},
    lives::{Played, play},
    subject::Subject,
};

/// Plays a case and says which invariants it breaks.
pub fn judge(subject: &Subject, case: &Case) -> (Played, Vec<Broken>) {
    let played = play(subject, case);
    // A limit on the time of a whole step, or on a question, goes on while no engine is there: an interruption may cost the step.
    let expires = |step: &Step| matches!(step.kind, StepKind::Approve { expires: Some(_), .. });
    let comparable = subject.plan.steps.iter().all(|step| step.time_limit.is_none() && !expires(step));
    let calm = case.without_what_must_not_matter().filter(|_| comparable);
    let undisturbed = calm.map(|calm| Ending::of(&play(subject, &calm)));
    let broken = invariants::broken(&Evidence::of(&subject.plan, &played, &Ending::of(&played), undisturbed.as_ref()));
    (played, broken)
}
