//! The named rule that answers a runbook's questions in a drill.

use lifeboat_core::{event::Person, input::Question, name::StepId};
use lifeboat_runtime::{
    invoke::Pending,
    people::{People, Reply, ReplyAnswer},
};
use tokio_util::sync::CancellationToken;

/// Approves, and does nothing by hand: a step that needs hands keeps the drill waiting and so fails it.
#[derive(Debug, Clone)]
pub struct DrillPolicy {
    /// Its name, as the journal and the report show it.
    pub name: String,
    /// What it says with each yes.
    pub comment: String,
}

impl People for DrillPolicy {
    fn ask(&self, _step: StepId, question: Question, _cancel: CancellationToken) -> Pending<Option<Reply>> {
        let who = Person::Policy { name: self.name.clone() };
        let comment = Some(self.comment.clone());
        let reply = match question {
            Question::Approve { .. } => Some(Reply { who, answer: ReplyAnswer::Approval { approved: true, comment } }),
            Question::Hands { .. } | Question::Decide { .. } => None,
        };
        Box::pin(std::future::ready(reply))
    }
}
