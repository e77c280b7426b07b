//! Virtual people: they are asked, look at what really happened, and answer. Other inputs of operators belong here too.

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    event::OperatorAnswer,
    input::{Input, Question},
    name::StepId,
};
use serde_json::{Map, Value};

use super::{
    chance::Chance,
    chronicle::Told,
    faults::QuestionFault,
    subject::person,
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
        match (fault, within) {
            (Some(QuestionFault::Absent), _) | (Some(QuestionFault::Unanswered), None) => {}
            (Some(QuestionFault::Unanswered), Some(within)) => {
                self.queue.plan(self.later(within), Happening::Unanswered(step.clone(), nth));
            }
            (Some(QuestionFault::Refuses | QuestionFault::Mistakes) | None, _) => {
                self.queue.plan(self.later(wait), Happening::Reply(step.clone(), nth));
            }
        }
        self.asked.push(Asked { step, question, nth, mistaken: false });
    }

    fn count_asking(&mut self, step: &StepId) -> u32 {
        if let Some((_, askings)) = self.askings.iter_mut().find(|(asked, _)| asked == step) {
            *askings += 1;
            return *askings;
        }
        self.askings.push((step.clone(), 1));
        1
    }

    /// The time for an answer is over.
    pub(super) fn unanswered(&mut self, step: &StepId, nth: u32) -> Option<Input> {
        let place = self.asked.iter().position(|asked| asked.step == *step && asked.nth == nth)?;
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
        let Asked { step, question, .. } = self.asked.remove(place);
        let refuses = fault == Some(QuestionFault::Refuses);
        let (input, good) = match question {
            Question::Approve { .. } => {
                (Input::Approval { step: step.clone(), who: person(), approved: !refuses, comment: None }, !refuses)
            }
            // What they did was not enough again and again: there is nothing more that they can do.
            Question::Hands { .. } if nth > HANDS_MAX => {
                let reason = format!("`{step}` can not be done by hand");
                return Some(Input::Abort { who: person(), reason });
            }
            Question::Hands { .. } => {
                let evidence = self.subject.evidence(self.case.seed, &step);
                (Input::Hands { step: step.clone(), who: person(), evidence }, true)
            }
            Question::Decide { .. } => {
                let answer = if refuses { OperatorAnswer::GiveUp } else { self.decision(&step) };
                (Input::Operator { step: step.clone(), who: person(), answer }, false)
            }
        };
        self.truth.replies.push(ReplyGiven { step, good });
        Some(input)
    }

    /// An operator looks at the target before saying what became of an attempt.
    fn decision(&self, step: &StepId) -> OperatorAnswer {
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
        self.queue.plan(at, Happening::Reply(step.clone(), nth));
        if is_hands && !self.subject.trusts_hands(&step) {
            // The engine asks anew, which is another question.
            self.asked.remove(place);
            self.truth.replies.push(ReplyGiven { step: step.clone(), good: false });
            return Input::Hands { step, who: person(), evidence: Value::Object(Map::new()) };
        }
        if is_hands {
            return Input::Approval { step, who: person(), approved: false, comment: None };
        }
        Input::Hands { step, who: person(), evidence: Value::Object(Map::new()) }
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
