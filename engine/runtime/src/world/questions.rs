//! Questions to people that are open.

use std::{collections::BTreeMap, sync::Arc};

use lifeboat_core::{input::Question, name::StepId};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::inbox::{Arrival, Ticket};
use crate::people::{People, Reply, ReplyAnswer};

/// A question that was asked.
struct Asked {
    question: Question,
    ticket: Ticket,
    cancel: CancellationToken,
    /// Nobody can be asked here; it stays open for a session where somebody can.
    nobody: bool,
}

/// The questions of a session: one a step at most.
pub(super) struct Questions {
    people: Arc<dyn People>,
    arrivals: UnboundedSender<Arrival>,
    asked: BTreeMap<StepId, Asked>,
    next_ticket: Ticket,
}

impl Questions {
    pub(super) fn new(people: Arc<dyn People>, arrivals: UnboundedSender<Arrival>) -> Self {
        Self { people, arrivals, asked: BTreeMap::new(), next_ticket: 0 }
    }

    /// Whether no answer can come.
    pub(super) fn is_hopeless(&self) -> bool {
        self.asked.values().all(|asked| asked.nobody)
    }

    /// Takes back the questions that are not wanted any more, and asks the new ones.
    pub(super) fn reconcile(&mut self, wanted: BTreeMap<StepId, Question>) {
        self.asked.retain(|step, asked| {
            let stays = wanted.get(step) == Some(&asked.question);
            if !stays {
                asked.cancel.cancel();
            }
            stays
        });
        for (step, question) in wanted {
            if !self.asked.contains_key(&step) {
                self.ask(step, question);
            }
        }
    }

    /// Takes the question out of the open ones where the reply answers it. A reply to an older question is none, and who
    /// answers another question than was asked can not be asked again.
    pub(super) fn arrived(&mut self, step: &StepId, ticket: Ticket, reply: Option<Reply>) -> Option<Reply> {
        let asked = self.asked.get_mut(step).filter(|asked| asked.ticket == ticket)?;
        let reply = reply.filter(|reply| fits(&asked.question, &reply.answer));
        asked.nobody = reply.is_none();
        if reply.is_some() {
            self.asked.remove(step);
        }
        reply
    }

    fn ask(&mut self, step: StepId, question: Question) {
        self.next_ticket += 1;
        let (ticket, cancel) = (self.next_ticket, CancellationToken::new());
        let reply = self.people.ask(step.clone(), question.clone(), cancel.clone());
        self.asked.insert(step.clone(), Asked { question, ticket, cancel, nobody: false });
        let arrivals = self.arrivals.clone();
        tokio::spawn(async move {
            let reply = reply.await;
            // A session that is over takes no answers; the next one asks again.
            let _ = arrivals.send(Arrival::Reply { step, ticket, reply });
        });
    }
}

fn fits(question: &Question, answer: &ReplyAnswer) -> bool {
    matches!(
        (question, answer),
        (Question::Approve { .. }, ReplyAnswer::Approval { .. })
            | (Question::Hands { .. }, ReplyAnswer::Evidence(_))
            | (Question::Decide { .. }, ReplyAnswer::Decision(_))
    )
}
