//! Questions to people that are open.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{input::Question, name::StepId};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::inbox::{Arrival, Ticket};
use crate::people::{People, Reply, ReplyAnswer};

/// A program that answers may give the same insufficient answer without end.
const ASKED_ANEW_MAX: u32 = 5;

/// A question that should be open.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) question: Question,
    /// How long a person may take to answer.
    pub(super) within: Option<SignedDuration>,
}

/// A question that was asked.
struct Asked {
    question: Question,
    ticket: Ticket,
    cancel: CancellationToken,
    /// When its time is over: counted from when it was asked here, so that time without an engine does not count.
    until: Option<Timestamp>,
    /// Nobody can be asked here; it stays open for a session where somebody can.
    nobody: bool,
}

/// The questions of a session: one a step at most.
pub(super) struct Questions {
    people: Arc<dyn People>,
    arrivals: UnboundedSender<Arrival>,
    asked: BTreeMap<StepId, Asked>,
    next_ticket: Ticket,
    /// The question that was answered last, until it is known whether the answer counts.
    answered: Option<(StepId, Asked)>,
    /// How often an answer to the question of a step did not count.
    lacking: BTreeMap<StepId, u32>,
    /// Since when the run is paused: no time counts against those who are asked.
    held: Option<Timestamp>,
}

impl Questions {
    pub(super) fn new(people: Arc<dyn People>, arrivals: UnboundedSender<Arrival>) -> Self {
        Self {
            people,
            arrivals,
            asked: BTreeMap::new(),
            next_ticket: 0,
            answered: None,
            lacking: BTreeMap::new(),
            held: None,
        }
    }

    /// Whether no answer can come.
    pub(super) fn is_hopeless(&self) -> bool {
        self.asked.values().all(|asked| asked.nobody)
    }

    /// The question whose time ends first. While nobody can be asked, no time counts.
    pub(super) fn first_expiry(&self) -> Option<(Timestamp, StepId)> {
        if self.held.is_some() {
            return None;
        }
        let asked = self.asked.iter().filter(|(_, asked)| !asked.nobody);
        asked.filter_map(|(step, asked)| Some((asked.until?, step.clone()))).min()
    }

    /// Calls the questions off. An answer that is on its way counts.
    pub(super) fn hurry(&self) {
        self.asked.values().for_each(|asked| asked.cancel.cancel());
    }

    /// The run is paused, or not: the time that was left for an answer is still left after the pause.
    pub(super) fn hold(&mut self, held: bool, now: Timestamp) {
        match self.held {
            None if held => self.held = Some(now),
            Some(since) if !held => {
                self.held = None;
                let length = now.duration_since(since);
                for until in self.asked.values_mut().filter_map(|asked| asked.until.as_mut()) {
                    *until = until.checked_add(length).unwrap_or(Timestamp::MAX);
                }
            }
            _ => {}
        }
    }

    /// Takes back the questions that are not wanted any more, and asks the new ones.
    pub(super) fn reconcile(&mut self, wanted: BTreeMap<StepId, Wanted>, now: Timestamp) {
        self.asked.retain(|step, asked| {
            let stays = wanted.get(step).is_some_and(|wanted| wanted.question == asked.question);
            if !stays {
                asked.cancel.cancel();
            }
            stays
        });
        for (step, Wanted { question, within }) in wanted {
            if !self.asked.contains_key(&step) {
                self.ask(step, question, within.and_then(|within| now.checked_add(within).ok()));
            }
        }
    }

    /// Takes the question out of the open ones where the reply answers it. A reply to an older question is none, and who
    /// answers another question than was asked cannot be asked again.
    pub(super) fn arrived(&mut self, step: &StepId, ticket: Ticket, reply: Option<Reply>) -> Option<Reply> {
        let asked = self.asked.get_mut(step).filter(|asked| asked.ticket == ticket)?;
        let reply = reply.filter(|reply| fits(&asked.question, &reply.answer));
        asked.nobody = reply.is_none();
        if reply.is_some() {
            self.answered = self.asked.remove(step).map(|asked| (step.clone(), asked));
        }
        reply
    }

    /// The last answer did not count: the same is asked anew, a few times, because it is still open. An asker that cannot answer it
    /// must then wait for the answer of others, and report that nobody can be asked if none can come.
    pub(super) fn refused(&mut self) {
        let Some((step, asked)) = self.answered.take() else { return };
        let times = self.lacking.entry(step.clone()).or_default();
        *times += 1;
        if *times > ASKED_ANEW_MAX {
            self.asked.insert(step, Asked { nobody: true, ..asked });
        }
    }

    fn ask(&mut self, step: StepId, question: Question, until: Option<Timestamp>) {
        self.next_ticket += 1;
        let (ticket, cancel) = (self.next_ticket, CancellationToken::new());
        let reply = AssertUnwindSafe(self.people.ask(step.clone(), question.clone(), cancel.clone())).catch_unwind();
        self.asked.insert(step.clone(), Asked { question, ticket, cancel, until, nobody: false });
        let arrivals = self.arrivals.clone();
        tokio::spawn(async move {
            // If asking panicked, the question stays open, as if nobody were there, so that nothing waits for it in vain.
            let reply = reply.await.unwrap_or(None);
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

    /// A person who gives the same answer to everything.
    struct Always(Option<ReplyAnswer>);

    impl People for Always {
        fn ask(&self, _step: StepId, _question: Question, _cancel: CancellationToken) -> Pending<Option<Reply>> {
            let reply = self.0.clone().map(|answer| Reply { who: Person::Engine, answer });
            Box::pin(std::future::ready(reply))
        }
    }

    fn approve(message: &str) -> BTreeMap<StepId, Wanted> {
        let question = Question::Approve { by: Vec::new(), message: message.to_owned(), approved_by: None };
        let within = Some(SignedDuration::from_mins(5));
        BTreeMap::from([(StepId::new("sign-off").unwrap(), Wanted { question, within })])
    }

    fn asked(answer: Option<ReplyAnswer>) -> (Questions, UnboundedReceiver<Arrival>) {
        let (sender, arrivals) = unbounded_channel();
        let mut questions = Questions::new(Arc::new(Always(answer)), sender);
        questions.reconcile(approve("Merge?"), Timestamp::UNIX_EPOCH);
        (questions, arrivals)
    }

    async fn take(questions: &mut Questions, arrivals: &mut UnboundedReceiver<Arrival>) -> Option<Reply> {
        match arrivals.recv().await.unwrap() {
            Arrival::Reply { step, ticket, reply } => questions.arrived(&step, ticket, reply),
            other => panic!("nothing else was asked for: {other:?}"),
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
            assert!(questions.first_expiry().is_some(), "somebody may be thinking about it");
            assert_eq!(take(&mut questions, &mut arrivals).await, None);
            assert!(questions.is_hopeless() && questions.first_expiry().is_none());
            questions.reconcile(approve("Merge?"), Timestamp::UNIX_EPOCH);
            assert!(questions.is_hopeless(), "the same question stays unanswered");
            questions.reconcile(approve("Really?"), Timestamp::UNIX_EPOCH);
            assert!(!questions.is_hopeless(), "another question is asked");
        }
    }

    #[tokio::test]
    async fn whose_answer_does_not_count_is_asked_anew_but_not_without_end() {
        let yes = ReplyAnswer::Approval { approved: true, comment: None };
        let (mut questions, mut arrivals) = asked(Some(yes));
        for _ in 0..=ASKED_ANEW_MAX {
            assert!(take(&mut questions, &mut arrivals).await.is_some(), "it is asked");
            questions.refused();
            questions.reconcile(approve("Merge?"), Timestamp::UNIX_EPOCH);
        }
        assert!(questions.is_hopeless(), "somebody else must answer");
    }

    #[tokio::test]
    async fn no_time_counts_in_a_paused_run() {
        let (mut questions, _arrivals) = asked(None);
        let second = |second| Timestamp::from_second(second).unwrap();
        let (before, _) = questions.first_expiry().unwrap();
        questions.hold(true, second(60));
        assert_eq!(questions.first_expiry(), None);
        questions.hold(true, second(90));
        questions.hold(false, second(100));
        assert_eq!(questions.first_expiry().unwrap().0, before + SignedDuration::from_secs(40));
    }

    #[tokio::test]
    async fn an_answer_to_a_question_that_was_taken_back_is_none() {
        let yes = ReplyAnswer::Approval { approved: true, comment: None };
        let (mut questions, mut arrivals) = asked(Some(yes));
        questions.reconcile(approve("Merge 7 rows?"), Timestamp::UNIX_EPOCH);
        assert_eq!(take(&mut questions, &mut arrivals).await, None);
        assert!(take(&mut questions, &mut arrivals).await.is_some());
    }
}
