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

#[cfg(test)]
mod tests {
    use lifeboat_core::event::{OperatorAnswer, Person};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;
    use crate::invoke::Pending;

    /// Somebody who has one answer to everything.
    struct Always(Option<ReplyAnswer>);

    impl People for Always {
        fn ask(&self, _step: StepId, _question: Question, _cancel: CancellationToken) -> Pending<Option<Reply>> {
            let reply = self.0.clone().map(|answer| Reply { who: Person::Engine, answer });
            Box::pin(std::future::ready(reply))
        }
    }

    fn approve(message: &str) -> BTreeMap<StepId, Question> {
        let question = Question::Approve { by: Vec::new(), message: message.to_owned() };
        BTreeMap::from([(StepId::new("sign-off").unwrap(), question)])
    }

    fn asked(answer: Option<ReplyAnswer>) -> (Questions, UnboundedReceiver<Arrival>) {
        let (sender, arrivals) = unbounded_channel();
        let mut questions = Questions::new(Arc::new(Always(answer)), sender);
        questions.reconcile(approve("Merge?"));
        (questions, arrivals)
    }

    async fn take(questions: &mut Questions, arrivals: &mut UnboundedReceiver<Arrival>) -> Option<Reply> {
        match arrivals.recv().await.unwrap() {
            Arrival::Reply { step, ticket, reply } => questions.arrived(&step, ticket, reply),
            Arrival::Answer { .. } => panic!("nothing was called"),
        }
    }

    #[tokio::test]
    async fn an_answer_to_the_question_counts() {
        let yes = ReplyAnswer::Approval { approved: true, comment: None };
        let (mut questions, mut arrivals) = asked(Some(yes.clone()));
        assert!(!questions.is_hopeless());
        assert_eq!(take(&mut questions, &mut arrivals).await.unwrap().answer, yes);
    }

    #[tokio::test]
    async fn where_nobody_answers_to_the_point_nobody_is_asked_again() {
        for answer in [None, Some(ReplyAnswer::Decision(OperatorAnswer::GiveUp))] {
            let (mut questions, mut arrivals) = asked(answer);
            assert_eq!(take(&mut questions, &mut arrivals).await, None);
            assert!(questions.is_hopeless());
            questions.reconcile(approve("Merge?"));
            assert!(questions.is_hopeless(), "the same question stays unanswered");
            questions.reconcile(approve("Really?"));
            assert!(!questions.is_hopeless(), "another question is asked");
        }
    }

    #[tokio::test]
    async fn an_answer_to_a_question_that_was_taken_back_is_none() {
        let yes = ReplyAnswer::Approval { approved: true, comment: None };
        let (mut questions, mut arrivals) = asked(Some(yes));
        questions.reconcile(approve("Merge 7 rows?"));
        assert_eq!(take(&mut questions, &mut arrivals).await, None);
        assert!(take(&mut questions, &mut arrivals).await.is_some());
    }
}
