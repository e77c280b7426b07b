//! Checks the answer of a plugin against the declaration of its action: nothing else gets into the journal.

use lifeboat_core::{
    action::Field,
    failure::{Failure, Reason},
    input::{Done, Observation},
    outputs, text,
};

use crate::wit::lifeboat::plugin::types as wit;

const CODE_BYTES_MAX: usize = 64;
const MESSAGE_BYTES_MAX: usize = 4096;
const SUMMARY_BYTES_MAX: usize = 500;

/// The result of `run`, or what is wrong with it.
pub(crate) fn outcome(outcome: wit::Outcome, declared: &[Field]) -> Result<Done, Failure> {
    let outputs = outputs::decode(&outcome.outputs, declared).map_err(rubbish)?;
    let summary = text::one_line(outcome.summary.lines().next().unwrap_or_default(), SUMMARY_BYTES_MAX);
    Ok(Done { outputs, summary })
}

/// The result of `observe`, or what is wrong with it.
pub(crate) fn observation(seen: wit::Observation, declared: &[Field]) -> Result<Observation, Failure> {
    match seen {
        wit::Observation::Done(done) => outcome(done, declared).map(Observation::Done),
        wit::Observation::NotDone => Ok(Observation::NotDone),
        wit::Observation::Unknown(why) => Ok(Observation::Unknown(text::plain(&why, MESSAGE_BYTES_MAX))),
    }
}

/// A guest's failure as core's.
pub(crate) fn failure(failure: wit::Failure) -> Failure {
    let reason = |reason: wit::Reason| Reason {
        code: text::one_line(&reason.code, CODE_BYTES_MAX),
        message: text::plain(&reason.message, MESSAGE_BYTES_MAX),
    };
    match failure {
        wit::Failure::InvalidInput(why) => Failure::InvalidInput(reason(why)),
        wit::Failure::Denied(why) => Failure::Denied(reason(why)),
        wit::Failure::Transient(why) => Failure::Transient(reason(why)),
        wit::Failure::Permanent(why) => Failure::Permanent(reason(why)),
        wit::Failure::Interrupted(why) => Failure::Interrupted(reason(why)),
    }
}

fn rubbish(problem: String) -> Failure {
    Failure::Permanent(Reason::new(
        "host-plugin-answer",
        format!("the plugin's answer does not match its declaration: {}", text::one_line(&problem, MESSAGE_BYTES_MAX)),
    ))
}
