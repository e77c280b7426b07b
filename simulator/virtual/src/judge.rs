//! Plays a case and holds what must hold against it.

use lifeboat_core::{
    event::Event,
    plan::{Step, StepKind},
};

use super::{
    case::Case,
    invariants::{self, Broken, Ending, Evidence},
    lives::{Played, play, play_at_once},
    subject::Subject,
};

/// Plays a case and says which invariants it breaks.
pub fn judge(subject: &Subject, case: &Case) -> (Played, Vec<Broken>) {
    let played = play(subject, case);
    let ends = case.without_what_must_not_matter().and_then(|calm| ends(subject, case, &calm, &played));
    let (ending, undisturbed) = match ends {
        Some((ending, undisturbed)) => (ending, Some(undisturbed)),
        None => (Ending::of(&played), None),
    };
    let broken = invariants::broken(&Evidence::of(&subject.plan, &played, &ending, undisturbed.as_ref()));
    (played, broken)
}

/// How the run ends, and how it would without the interruption; `None` where the two cannot be compared.
///
/// A limit on the time of a whole step, or on a question, goes on while no engine is there. Where the runbook has one, an engine is
/// started again at once. Where the time that the interruption itself took was too long all the same, it may cost the step.
fn ends(subject: &Subject, case: &Case, calm: &Case, played: &Played) -> Option<(Ending, Ending)> {
    let undisturbed = || Ending::of(&play(subject, calm));
    if !subject.plan.steps.iter().any(is_limited) {
        return Some((Ending::of(played), undisturbed()));
    }
    let at_once = (played.lives.len() > 1).then(|| play_at_once(subject, case));
    let played = at_once.as_ref().unwrap_or(played);
    (!played.records.iter().any(|record| is_out_of_time(&record.event))).then(|| (Ending::of(played), undisturbed()))
}

/// Whether the runbook says how long all of the step, or its question, may take.
fn is_limited(step: &Step) -> bool {
    step.time_limit.is_some() || matches!(step.kind, StepKind::Approve { expires: Some(_), .. })
}

fn is_out_of_time(event: &Event) -> bool {
    let codes = ["run-timed-out", "run-approval-expired"];
    matches!(event, Event::StepFailed { failure, .. } if codes.contains(&failure.reason().code.as_str()))
}
