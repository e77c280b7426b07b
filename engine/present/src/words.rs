//! Failures, ends and people in words: the same wherever one is told.

use lifeboat_core::{
    event::{Outcome, Person, SkipReason},
    failure::{Failure, FailureKind},
};

use crate::{Tone, values::values};

/// A failure for people: its message, its kind where that says something, its code.
pub fn failure(failure: &Failure) -> String {
    let reason = failure.reason();
    let kind = match failure.kind() {
        FailureKind::InvalidInput => "invalid input, ",
        FailureKind::Denied => "refused, ",
        FailureKind::Transient => "transient, ",
        FailureKind::Permanent => "",
        FailureKind::Interrupted => "interrupted, ",
    };
    format!("{} [{kind}{}]", reason.message, reason.code)
}

/// Why a step was left out, in words.
pub fn skipped(reason: &SkipReason) -> String {
    match reason {
        SkipReason::WhenFalse => "skipped: its `when` is false".to_owned(),
        SkipReason::NotAsked => "skipped: nothing to ask, its `when` is false".to_owned(),
        SkipReason::NeedNotMet { step } => format!("skipped: it needs `{step}`, which was not done"),
        SkipReason::ByOperator { who, reason } => format!("skipped by {}: {reason}", person(who)),
        SkipReason::NothingFailed => "skipped: nothing failed".to_owned(),
        SkipReason::DoneBefore => "skipped: it was done, or may have been, when the run ended before".to_owned(),
        SkipReason::WouldRun { parameters } => {
            format!("would change something in a real run:{}", values(parameters))
        }
        SkipReason::WouldAsk { message } => format!("would ask, in a real run: {message}"),
        SkipReason::NotKnown { unknown, .. } => {
            format!("cannot be tried: depends on {}, known only in a real run", unknown.join(", "))
        }
        SkipReason::FailedBehind { step, failure } => {
            format!("failed, perhaps because `{step}` was skipped: {}", self::failure(failure))
        }
    }
}

/// How a run ended, in words.
pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::SucceededWithExceptions => "succeeded with exceptions",
        Outcome::Failed => "failed",
        Outcome::RolledBack => "failed; everything was undone",
        Outcome::Aborted => "ended early",
        Outcome::DryRun => "dry-run ended without a change",
    }
}

/// How that end is meant.
pub fn outcome_tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Succeeded => Tone::Good,
        Outcome::SucceededWithExceptions | Outcome::DryRun => Tone::Warn,
        Outcome::Failed | Outcome::RolledBack | Outcome::Aborted => Tone::Bad,
    }
}

/// Who did something.
pub fn person(who: &Person) -> String {
    match who {
        Person::User { name } => name.clone(),
        Person::Policy { name } => format!("the policy `{name}`"),
        Person::Engine => "the engine".to_owned(),
    }
}

/// The people who may answer.
pub fn people(by: &[String]) -> String {
    if by.is_empty() { "anyone".to_owned() } else { by.join(" or ") }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::failure::Reason;

    use super::*;

    #[test]
    fn a_refusal_says_that_it_is_one() {
        let failure = Failure::Denied(Reason::new("host-refused-effect", "not granted"));
        assert_eq!(super::failure(&failure), "not granted [refused, host-refused-effect]");
    }
}
