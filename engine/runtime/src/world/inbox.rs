//! What tasks bring back to the driver.

use lifeboat_core::{
    failure::{Failure, Reason},
    input::{Call, Input, Observation, Purpose},
    name::StepId,
};

use crate::{
    control::Arrived,
    invoke::Answer,
    people::{Reply, ReplyAnswer},
};

/// What identifies a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallKey {
    pub(super) step: StepId,
    pub(super) attempt: u32,
    pub(super) purpose: Purpose,
}

impl CallKey {
    pub(super) fn of(call: &Call) -> Self {
        Self { step: call.step.clone(), attempt: call.attempt, purpose: call.purpose }
    }
}

/// Counts the tasks of a session, so that an answer is told from that of an earlier task for the same call or question.
pub(super) type Ticket = u64;

/// A task came to its end.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A plugin call answered.
    Answer { key: CallKey, ticket: Ticket, answer: Answer },
    /// A person answered, or nobody could be asked.
    Reply { step: StepId, ticket: Ticket, reply: Option<Reply> },
    /// A person at another terminal sent a request.
    Request(Arrived),
}

/// The call ended without a usable answer, so it is unknown how far it came.
pub(super) fn lost() -> Failure {
    Failure::Interrupted(Reason::new("run-call-lost", "the call ended without an answer; this is a bug in Lifeboat"))
}

/// The core's word for what a call brought back.
pub(super) fn input_of_answer(key: CallKey, answer: Answer) -> Input {
    let CallKey { step, attempt, purpose } = key;
    match (purpose, answer) {
        (Purpose::Observe, Answer::Observed(observation)) => Input::Observed { step, attempt, observation },
        (Purpose::Observe, Answer::Ran(answer)) => {
            let other = "the plugin answered a different question";
            let observation = answer.map(|_| Observation::Unknown(other.to_owned()));
            Input::Observed { step, attempt, observation }
        }
        (_, Answer::Ran(answer)) => Input::Answered { step, attempt, purpose, answer },
        (_, Answer::Observed(answer)) => {
            let failure = answer.err().unwrap_or_else(lost);
            Input::Answered { step, attempt, purpose, answer: Err(failure) }
        }
    }
}

/// The core's word for what a person answered.
pub(super) fn input_of_reply(step: StepId, Reply { who, answer }: Reply) -> Input {
    match answer {
        ReplyAnswer::Approval { approved, comment } => Input::Approval { step, who, approved, comment },
        ReplyAnswer::Evidence(evidence) => Input::Hands { step, who, evidence },
        ReplyAnswer::Decision(answer) => Input::Operator { step, who, answer },
    }
}
