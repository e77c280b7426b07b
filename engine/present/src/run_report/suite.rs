//! `junit.xml` of a run: a suite whose cases are the outcome, the objective and every step. A step that was left out, and one that a person
//! skipped, is skipped; what is not over or has an unknown effect is an error. None of these is a pass.

use lifeboat_core::{
    event::{Outcome, SkipReason},
    run::{StepRun, StepState},
};

use super::{RunReport, Told, recovery_time::recovery};
use crate::{
    drill::Verdict,
    junit::{self, Ended, Suite, TestCase},
    words,
};

/// The document; `None` of a run that has not begun.
pub fn junit(report: &RunReport<'_>) -> Option<String> {
    let told = Told::of(report)?;
    let facts = told.facts;
    let suite = Suite {
        name: format!("{} {}", facts.runbook.id, facts.run),
        attributes: junit::held(told.started, told.until, None),
        properties: vec![
            ("sentence", told.sentence()),
            ("runbook", format!("{} {}", facts.runbook.id, facts.runbook.digest)),
            ("plan", facts.plan_digest.clone()),
            ("journal", report.journal_hash.to_owned()),
            ("version", facts.engine.clone()),
        ],
        cases: cases(&told),
    };
    Some(junit::document("lifeboat run", &[suite]))
}

fn cases(told: &Told<'_>) -> Vec<TestCase> {
    let seconds = told.until.duration_since(told.started).as_secs_f64();
    let case = |class, name: &str, seconds, result| TestCase { class, name: name.to_owned(), seconds, result };
    let mut cases = vec![case("run", "outcome", Some(seconds), outcome(told))];
    cases.extend(recovery(told).map(|recovery| {
        let said = recovery.sentence();
        let result = match recovery.verdict {
            Verdict::Met => Ended::Passed(said),
            Verdict::Missed => Ended::Failure(said),
            Verdict::Unmeasured => Ended::Error(said),
        };
        case("objective", "recovery time", None, result)
    }));
    cases.extend(told.report.run.steps.iter().map(|step| {
        let took = step.started.zip(step.changed).map(|(from, until)| until.duration_since(from).as_secs_f64());
        case("step", step.id.as_str(), took.filter(|_| step.attempts > 0), self::step(step))
    }));
    cases
}

fn outcome(told: &Told<'_>) -> Ended {
    let said = told.sentence();
    match told.outcome {
        Some(Outcome::Succeeded) => Ended::Passed(said),
        // Something was left out, done by hand, or failed without ending the run: its case says which.
        Some(Outcome::SucceededWithExceptions) => Ended::Passed(said),
        Some(Outcome::Failed | Outcome::RolledBack | Outcome::Aborted) => Ended::Failure(said),
        Some(Outcome::DryRun) => Ended::Skipped(said),
        None => Ended::Error(said),
    }
}

fn step(step: &StepRun) -> Ended {
    let word = step.state.word().replace('_', " ");
    match &step.state {
        StepState::Succeeded { summary, .. } => Ended::Passed(summary.clone()),
        StepState::ResolvedByHand { who, .. } => Ended::Passed(format!("done by hand by {}", words::person(who))),
        StepState::Failed { failure } | StepState::UndoFailed { failure, .. } => {
            Ended::Failure(words::failure(failure))
        }
        StepState::Skipped { reason: reason @ SkipReason::FailedBehind { .. } } => Ended::Error(words::skipped(reason)),
        StepState::Skipped { reason } => Ended::Skipped(words::skipped(reason)),
        StepState::Undone => Ended::Skipped("what it did was undone".to_owned()),
        StepState::Cancelled => Ended::Skipped("cancelled: the run ended early".to_owned()),
        _ => Ended::Error(format!("not over: {word}")),
    }
}
