//! How the engine reaches people: the terminal that runs, or a named policy in a drill.

use lifeboat_core::{
    event::{OperatorAnswer, Person},
    input::Question,
    name::StepId,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::invoke::Pending;

/// Asks people.
pub trait People: Send + Sync {
    /// Shows the question and waits for the answer. `None`: nobody can be asked here; the run then stops where it is and waits
    /// (exit code 5) until it is resumed where somebody can. Ends early, with `None`, when `cancel` fires.
    fn ask(&self, step: StepId, question: Question, cancel: CancellationToken) -> Pending<Option<Reply>>;
}

/// The answer of a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The person who answered, or the policy of a drill.
    pub who: Person,
    /// The answer.
    pub answer: ReplyAnswer,
}

/// The answer of a person, by kind of question.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplyAnswer {
    /// To `Question::Approve`.
    Approval {
        /// Whether the answer was a yes.
        approved: bool,
        /// The comment of the person.
        comment: Option<String>,
    },
    /// To `Question::Hands`: what was handed in.
    Evidence(Value),
    /// To `Question::Decide`.
    Decision(OperatorAnswer),
}

/// Nobody is there.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl People for Nobody {
    fn ask(&self, _step: StepId, _question: Question, _cancel: CancellationToken) -> Pending<Option<Reply>> {
        Box::pin(std::future::ready(None))
    }
}
