//! What an report of a run does not show, and what rests on the word of a person alone.

use lifeboat_core::{
    event::{Event, Mode, Person, SkipReason},
    run::{StepRun, StepState},
};

use super::{Told, recovery_time::recovery};
use crate::{step::is_cut_off, words::person};

/// What is not shown, and why, what weighs most first.
pub(super) fn omissions(told: &Told<'_>) -> Vec<(String, String)> {
    let mut found = course(told);
    found.extend(steps(told));
    found.extend(policies(told));
    if told.facts.mode == Mode::Real {
        found.push((
            "Users".to_owned(),
            "No probe watched the service: the recovery time counts until the engine was done, not until users were served."
                .to_owned(),
        ));
        found.push((
            "Lost writes".to_owned(),
            "They are counted in drills only: how much data was lost was not measured.".to_owned(),
        ));
    }
    found
}

fn course(told: &Told<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if told.outcome.is_none() {
        found.push(("The end".to_owned(), "The run is not over: whatever follows is missing here.".to_owned()));
    }
    if told.facts.mode == Mode::DryRun {
        found.push((
            "Changes".to_owned(),
            "A dry-run changes nothing: steps that would change something were not tried.".to_owned(),
        ));
    }
    if let Some(lacks) = recovery(told).and_then(|recovery| recovery.lacks) {
        let why = format!("{}: it is longer than the time since the start of the run.", capital(lacks));
        found.push(("The whole recovery time".to_owned(), why));
    }
    found
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Steps whose work nothing shows.
fn steps(told: &Told<'_>) -> impl Iterator<Item = (String, String)> {
    let why = |step: &StepRun| match &step.state {
        StepState::Skipped { reason: SkipReason::ByOperator { who, reason } } => {
            Some(format!("Skipped by {}: {reason}", person(who)))
        }
        StepState::ResolvedByHand { who, .. } => {
            Some(format!("Done by hand: it rests on the word of {}, with the evidence that they gave.", person(who)))
        }
        StepState::Cancelled => Some("It did not run, or was stopped: the run ended early.".to_owned()),
        state if is_cut_off(state, told.report.live) => {
            Some("It was interrupted when the engine ended: its effect is unknown.".to_owned())
        }
        _ if step.in_doubt => Some("Effects of an earlier attempt may remain.".to_owned()),
        _ => None,
    };
    told.report.run.steps.iter().filter_map(move |step| Some((format!("Step {}", step.id), why(step)?)))
}

/// Answers that no person gave.
fn policies(told: &Told<'_>) -> Option<(String, String)> {
    let by_policy = |(_, event): &&(jiff::Timestamp, &Event)| matches!(event.who(), Some(Person::Policy { .. }));
    let answers = told.report.events.iter().filter(by_policy).count();
    let why = format!("{answers} of the answers came from a policy: no person was asked.");
    (answers > 0).then(|| ("People".to_owned(), why))
}
