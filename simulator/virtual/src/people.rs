//! Virtual people: they are asked, look at what really happened, and answer. What they tell the run without having been asked is in
//! `operators`.

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    event::{Event, OperatorAnswer, Person},
    input::{Input, Question},
    name::StepId,
};
use serde_json::{Map, Value};

use super::{
    chance::Chance,
    chronicle::Told,
    faults::QuestionFault,
    subject::{colleague, person},
    truth::ReplyGiven,
    world::{Happening, VirtualWorld},
};

/// How often somebody does the work of one step before they give up.
const HANDS_MAX: u32 = 4;

/// A question that is due.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) step: StepId,
    pub(super) question: Question,
    /// How long somebody may take to answer.
    pub(super) within: Option<SignedDuration>,
}

/// A question that stands.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) step: StepId,
    question: Question,
    nth: u32,
    /// When nobody will answer any more.
    until: Option<Timestamp>,
    /// They have answered something wrong already, and will correct it.
    mistaken: bool,
}

/// The kinds of answer that somebody can give to what nobody asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stray {
    Approval,
    Hands,
    Decision,
}

impl Stray {
    const ALL: [Self; 3] = [Self::Approval, Self::Hands, Self::Decision];

    fn answers(self, question: &Question) -> bool {
        matches!(
            (self, question),
            (Self::Approval, Question::Approve { .. })
                | (Self::Hands, Question::Hands { .. })
                | (Self::Decision, Question::Decide { .. })
        )
    }
}

impl VirtualWorld<'_> {
    /// Makes the questions that stand those that are due.
    pub(super) fn reconcile_questions(&mut self, due: Vec<Asking>) {
        let same = |asked: &Asked, asking: &Asking| asked.step == asking.step && asked.question == asking.question;
        self.asked.retain(|asked| due.iter().any(|asking| same(asked, asking)));
        for asking in due {
            if !self.asked.iter().any(|asked| same(asked, &asking)) {
                self.ask(asking);
            }
        }
    }

    fn ask(&mut self, Asking { step, question, within }: Asking) {
        let nth = self.count_asking(&step);
        let mut chance = Chance::of(self.case.seed, "reply", step.as_str(), u64::from(nth));
        let wait = SignedDuration::from_millis(i64::try_from(chance.below(600_000)).unwrap_or_default());
        let wait = within.map_or(wait, |within| wait.min(within / 2));
        let fault = self.case.of_question(&step, nth);
        if let Some(fault) = fault {
            self.chronicle.tell(self.now, || Told::QuestionFault { fault, step: step.clone() });
        }
        let mut until = None;
        match fault {
            Some(QuestionFault::Absent) => {}
            Some(QuestionFault::Unanswered) => {
                until = within.map(|within| self.later(within));
                let unanswered = |until| (until, Happening::Unanswered(step.clone(), nth));
                until.map(unanswered).into_iter().for_each(|(at, what)| self.queue.plan(at, what));
            }
            Some(QuestionFault::Crash) => self.queue.plan(self.later(wait), Happening::DeathAsked(step.clone(), nth)),
            Some(QuestionFault::Refuses | QuestionFault::Mistakes | QuestionFault::Repeats) | None => {
                self.queue.plan(self.later(wait), Happening::Reply(step.clone(), nth));
            }
        }
        self.asked.push(Asked { step, question, nth, until, mistaken: false });
    }

    /// The run goes on after a pause: nobody had to answer while it lasted.
    pub(super) fn grant_time(&mut self, length: SignedDuration) {
        for asked in &mut self.asked {
            if let Some(until) = &mut asked.until {
                *until = until.checked_add(length).unwrap_or(Timestamp::MAX);
                self.queue.plan(*until, Happening::Unanswered(asked.step.clone(), asked.nth));
            }
        }
    }

    /// Who answers: people take turns, and who has approved already leaves it to the other.
    fn who_answers(&self, step: &StepId, nth: u32) -> Person {
        if nth == 1 {
            return person();
        }
        let own = self.records.iter().rev().map(|record| &record.event).filter(|event| event.step() == Some(step));
        let first = own.take_while(|event| !matches!(event, Event::ApprovalRequested { .. })).find_map(Event::who);
        match first {
            Some(first) if *first == person() => colleague(),
            Some(_) => person(),
            None => colleague(),
        }
    }

    fn count_asking(&mut self, step: &StepId) -> u32 {
        if let Some((_, askings)) = self.truth.askings.iter_mut().find(|(asked, _)| asked == step) {
            *askings += 1;
            return *askings;
        }
        self.truth.askings.push((step.clone(), 1));
        1
    }

    pub(super) fn is_asked(&self, step: &StepId, nth: u32) -> bool {
        self.asked.iter().any(|asked| asked.step == *step && asked.nth == nth)
    }

    /// The time for an answer is over.
    pub(super) fn unanswered(&mut self, step: &StepId, nth: u32) -> Option<Input> {
        let place = self.asked.iter().position(|asked| asked.step == *step && asked.nth == nth)?;
        if self.held.is_some() || self.asked[place].until.is_some_and(|until| self.now < until) {
            return None;
        }
        let asked = self.asked.remove(place);
        Some(Input::Unanswered { step: asked.step })
    }

    /// Somebody answers a question, if it still stands.
    pub(super) fn reply(&mut self, step: &StepId, nth: u32) -> Option<Input> {
        let place = self.asked.iter().position(|asked| asked.step == *step && asked.nth == nth)?;
        let fault = self.case.of_question(step, nth);
        if fault == Some(QuestionFault::Mistakes) && !self.asked[place].mistaken {
            return Some(self.mistake(place));
        }
        let who = self.who_answers(step, nth);
        let Asked { step, question, .. } = self.asked.remove(place);
        let refuses = fault == Some(QuestionFault::Refuses);
        let replied = who.clone();
        let (input, good) = match question {
            Question::Approve { .. } => {
                if fault == Some(QuestionFault::Repeats) {
                    let at = self.later(SignedDuration::from_secs(5));
                    self.queue.plan(at, Happening::SaidTwice(step.clone(), who.clone()));
                }
                (Input::Approval { step: step.clone(), who, approved: !refuses, comment: None }, !refuses)
            }
            // It cannot be done, or what they did was not enough again and again: there is nothing more that they can do.
            Question::Hands { .. } if refuses || nth > HANDS_MAX => {
                let reason = format!("`{step}` cannot be done by hand");
                return Some(Input::Abort { who, reason });
            }
            Question::Hands { .. } => {
                let evidence = self.subject.evidence(self.case.seed, &step);
                (Input::Hands { step: step.clone(), who, evidence }, true)
            }
            Question::Decide { .. } => {
                let answer = if refuses { OperatorAnswer::GiveUp } else { self.decision(&step) };
                (Input::Operator { step: step.clone(), who, answer }, false)
            }
        };
        self.truth.replies.push(ReplyGiven { step, who: replied, good });
        Some(input)
    }

    /// Who has said yes says it once more. Where the question was asked anew meanwhile, that is an answer to it.
    pub(super) fn said_twice(&mut self, step: StepId, who: Person) -> Input {
        self.truth.replies.push(ReplyGiven { step: step.clone(), who: who.clone(), good: true });
        Input::Approval { step, who, approved: true, comment: None }
    }

    /// An operator looks at the target before saying what became of an attempt.
    pub(super) fn decision(&self, step: &StepId) -> OperatorAnswer {
        match self.truth.standing_effect(step) {
            Some(_) => OperatorAnswer::ItHappened { outputs: self.subject.outputs(self.case.seed, step) },
            None => OperatorAnswer::RunAgain,
        }
    }

    /// What was not asked, or not enough; they notice within seconds.
    fn mistake(&mut self, place: usize) -> Input {
        let at = self.later(SignedDuration::from_secs(20));
        let asked = &mut self.asked[place];
        asked.mistaken = true;
        let (step, nth, is_hands) = (asked.step.clone(), asked.nth, matches!(asked.question, Question::Hands { .. }));
        let who = person();
        self.queue.plan(at, Happening::Reply(step.clone(), nth));
        if is_hands && !self.subject.trusts_hands(&step) {
            // The engine asks anew, which is another question.
            self.asked.remove(place);
            self.truth.replies.push(ReplyGiven { step: step.clone(), who: who.clone(), good: false });
            return Input::Hands { step, who, evidence: Value::Object(Map::new()) };
        }
        if is_hands {
            return Input::Approval { step, who, approved: false, comment: None };
        }
        Input::Hands { step, who, evidence: Value::Object(Map::new()) }
    }

    /// Plans answers of every kind to every step.
    pub(super) fn plan_strays(&mut self, chance: &mut Chance) {
        let plan = &self.subject.plan;
        let at: Timestamp =
            self.later(SignedDuration::from_millis(i64::try_from(chance.below(5_000)).unwrap_or_default()));
        for step in &plan.steps {
            for stray in Stray::ALL {
                self.queue.plan(at, Happening::Stray(step.id.clone(), stray));
            }
        }
    }

    /// An answer that fits no question of its step.
    pub(super) fn stray(&self, step: StepId, stray: Stray) -> Option<Input> {
        let asked = self.asked.iter().find(|asked| asked.step == step);
        if asked.is_some_and(|asked| stray.answers(&asked.question)) {
            return None;
        }
        let who = person();
        Some(match stray {
            Stray::Approval => Input::Approval { step, who, approved: true, comment: None },
            Stray::Hands => {
                let evidence = self.subject.evidence(self.case.seed, &step);
                Input::Hands { step, who, evidence }
            }
            Stray::Decision => {
                let answer = OperatorAnswer::ItHappened { outputs: self.subject.outputs(self.case.seed, &step) };
                Input::Operator { step, who, answer }
            }
        })
    }
}
