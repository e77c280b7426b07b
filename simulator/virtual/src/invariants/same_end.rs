//! A run whose engine was cut off, and resumed, comes to the same end as one whose engine was not.

use lifeboat_core::event::Outcome;

use super::{Ending, Evidence};

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    let Some(undisturbed) = evidence.undisturbed else { return Ok(()) };
    let ending = evidence.ending;
    if ending.outcome != undisturbed.outcome {
        let (is, should) = (outcome(ending), outcome(undisturbed));
        return Err(format!("the run ends as {is}; without the interruption it is {should}"));
    }
    // A run that ends early tries nothing again, so what was in flight then may be lost in one and done in the other.
    if !matches!(ending.outcome, Some(Outcome::Succeeded | Outcome::SucceededWithExceptions)) {
        return Ok(());
    }
    if let Some((is, should)) = ending.steps.iter().zip(&undisturbed.steps).find(|(is, should)| is != should) {
        return Err(format!("`{}` ends as {}; without the interruption it is {}", is.0, words(is.1), words(should.1)));
    }
    Ok(())
}

fn outcome(ending: &Ending) -> String {
    match ending.outcome.and_then(|outcome| serde_json::to_value(outcome).ok()) {
        Some(outcome) => words(outcome.as_str().unwrap_or_default()),
        None => "not over".to_owned(),
    }
}

fn words(state: &str) -> String {
    state.replace('_', " ")
}
