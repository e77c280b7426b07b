//! A world without a shell: it plays plugins, people, the clock and crashes, and keeps the journal.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    decide::decide,
    due::due,
    event::{Event, Mode, OperatorAnswer, Person, RunStarted},
    failure::{Failure, HELD_BACK, Reason},
    input::{Call, Done, Effect, Input, Observation, Purpose, Question},
    name::{RunId, StepId},
    operator::{Command, Request, judge},
    plan::Plan,
    run::{Awaiting, Phase, Run, StepState},
    sketch,
};
use serde_json::json;

use crate::{
    laws,
    plans::{failure, request, somebody},
};

/// When every run starts.
pub(crate) fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

/// What every run is started with.
pub(crate) fn beginning(plan: &Plan, mode: Mode) -> RunStarted {
    RunStarted { mode, ..sketch::started(plan, &RunId::new("t-1").expect("a name")) }
}

/// The first event of every run.
pub(crate) fn started(plan: &Plan) -> Event {
    Event::RunStarted(beginning(plan, Mode::Real))
}

/// A run, its journal and its clock.
pub(crate) struct World<'a> {
    plan: &'a Plan,
    pub(crate) mode: Mode,
    pub(crate) run: Run,
    pub(crate) journal: Vec<(Timestamp, Event)>,
    last_decision: usize,
    now: Timestamp,
}

impl<'a> World<'a> {
    pub(crate) fn new(plan: &'a Plan, mode: Mode) -> Self {
        let mut world = Self { plan, mode, run: Run::new(plan), journal: Vec::new(), last_decision: 0, now: start() };
        world.feed(&Input::Start(Box::new(beginning(plan, mode))));
        world
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.run.phase, Phase::Finished { .. })
    }

    /// Decides, journals and applies; every event must be legal and lawful. Returns how many there were.
    pub(crate) fn feed(&mut self, input: &Input) -> usize {
        let events = decide(self.plan, &self.run, input, self.now);
        self.last_decision = events.len();
        self.cut_off_anywhere(&events);
        for event in &events {
            laws::before(self.plan, &self.run, &self.journal, event);
            let before = due(self.plan, &self.run, self.now);
            self.run.apply(self.now, event).unwrap_or_else(|illegal| panic!("{illegal}\n{:#?}", self.journal));
            laws::beginning(event, &before, &due(self.plan, &self.run, self.now));
            assert!(self.run.is_consistent(), "{event:?} left the books of the run wrong");
            self.journal.push((self.now, event.clone()));
        }
        events.len()
    }

    /// Wherever the writing of a decision is cut off, the run continues: `decide` panics where what follows is not legal.
    fn cut_off_anywhere(&self, events: &[Event]) {
        let Some((_, kept)) = events.split_last().filter(|(_, kept)| !kept.is_empty()) else { return };
        let mut run = self.run.clone();
        for event in kept {
            run.apply(self.now, event).expect("a legal event");
            let mut next = run.clone();
            for step in in_flight(&run) {
                for event in decide(self.plan, &next, &Input::Interrupted { step }, self.now) {
                    next.apply(self.now, &event).expect("a legal event");
                }
            }
        }
    }

    /// One move of the world, picked by the number.
    pub(crate) fn play(&mut self, choice: u16) {
        let effects = self.due();
        let (kind, detail) = (choice % 16, choice / 16);
        let pick = |length: usize| usize::from(detail) % length.max(1);
        let calls = calls(&effects);
        match kind {
            0 => self.crash(usize::from(detail % 4)),
            1 if detail.is_multiple_of(8) => {
                self.feed(&Input::Abort { who: Person::Engine, reason: "test".to_owned() });
            }
            1 | 6 => self.ask_for(detail),
            2 => self.old_answer(&calls, pick(calls.len())),
            3 | 4 => self.tick(&effects),
            _ => {
                let asks = asks(&effects);
                let place = pick(calls.len() + asks.len());
                match calls.get(place) {
                    Some(call) => self.answer(call, detail),
                    None => match asks.get(place - calls.len()) {
                        Some((step, _, Some(_))) if kind == 5 && self.run.pause.is_none() => self.nobody_answers(step),
                        Some((step, question, _)) => self.reply(step, question, detail),
                        None => self.tick(&effects),
                    },
                }
            }
        }
    }

    /// Everybody answers well until the run is over.
    pub(crate) fn finish(&mut self) {
        for _ in 0..1_000 {
            if self.is_over() {
                return;
            }
            let effects = self.due();
            if effects.contains(&Effect::Hold) {
                self.now += SignedDuration::from_secs(3);
                let command = Command::Unpause { reason: None };
                let request = Request { who: Person::Engine, groups: BTreeSet::new(), command };
                assert!(self.feed(&Input::Command(Box::new(request))) > 0, "a pause can be ended");
            } else if let Some(call) = calls(&effects).first() {
                self.answer(call, 0);
            } else if let Some((step, question, _)) = asks(&effects).first() {
                self.reply(step, question, 0);
            } else {
                self.tick(&effects);
            }
        }
        panic!("the run hangs: {:#?}\n{:#?}", self.run, self.journal);
    }

    /// Somebody wants something, whether it can be or not.
    pub(crate) fn ask_for(&mut self, choice: u16) {
        let request = request(self.plan, choice);
        match judge(self.plan, &self.run, &request, self.now) {
            Ok(event) => {
                let place = self.journal.len();
                self.feed(&Input::Command(Box::new(request)));
                assert_eq!(self.journal.get(place).map(|(_, event)| event), Some(&event), "what is accepted happens");
            }
            Err(refusal) => {
                assert!(refusal.code.starts_with("operator-") && !refusal.message.is_empty());
                // What a journal that was cut off still owes comes with any input.
                let owed = decide(self.plan, &self.run, &Input::Tick, self.now);
                let refused = decide(self.plan, &self.run, &Input::Command(Box::new(request)), self.now);
                assert_eq!(refused, owed, "what is refused leaves no trace: {refusal}");
            }
        }
    }

    fn due(&self) -> Vec<Effect> {
        let effects = due(self.plan, &self.run, self.now);
        laws::due(self.plan, &self.run, self.now, &effects);
        effects
    }

    fn tick(&mut self, effects: &[Effect]) {
        let wake = effects.iter().find_map(|effect| match effect {
            Effect::WakeAt(at) | Effect::ExpiresAt(at) => Some(*at),
            _ => None,
        });
        if let Some(wake) = wake {
            self.now = self.now.max(wake);
            assert!(self.feed(&Input::Tick) > 0, "a wake-up changes something: {:#?}", self.run);
        }
    }

    fn answer(&mut self, call: &Call, detail: u16) {
        let done = Done { outputs: json!({}), summary: "done".to_owned() };
        let (step, attempt, purpose) = (call.step.clone(), call.attempt, call.purpose);
        let good = detail.is_multiple_of(2);
        let events = if purpose == Purpose::Observe {
            let observation = match detail % 8 {
                1 => Ok(Observation::NotDone),
                3 => Ok(Observation::Unknown("test".to_owned())),
                5 | 7 => Err(failure(detail / 8)),
                _ => Ok(Observation::Done(done)),
            };
            self.feed(&Input::Observed { step, attempt, observation })
        } else {
            let answer = if good { Ok(done) } else { Err(self.failure(detail / 2)) };
            self.feed(&Input::Answered { step, attempt, purpose, answer })
        };
        assert!(events > 0, "an answer to a call that is due means something");
    }

    fn reply(&mut self, step: &StepId, question: &Question, detail: u16) {
        let (approved_by, expires) = match self.run.find(step).map(|step| &step.state) {
            Some(StepState::Awaiting(Awaiting::Approval { approved_by, expires, .. })) => {
                (approved_by.clone(), *expires)
            }
            _ => (None, None),
        };
        // A pause keeps the failure of what has expired in it from being said, and nobody can answer it any more.
        let is_void = self.run.pause.is_some() && expires.is_some_and(|expires| expires <= self.now);
        let (step, who) = (step.clone(), somebody(usize::from(approved_by == Some(somebody(0)))));
        let input = match question {
            Question::Approve { .. } => {
                Input::Approval { step, who, approved: detail.is_multiple_of(2), comment: None }
            }
            Question::Hands { .. } => Input::Hands { step, who, evidence: json!({}) },
            Question::Decide { .. } => {
                let answer = match detail % 3 {
                    0 => OperatorAnswer::ItHappened { outputs: json!({}) },
                    1 => OperatorAnswer::RunAgain,
                    _ => OperatorAnswer::GiveUp,
                };
                Input::Operator { step, who, answer }
            }
        };
        assert!(self.feed(&input) > 0 || is_void, "a reply to a question that is due means something");
    }

    /// In a dry-run every other failure is that of a call which was kept from changing something.
    fn failure(&self, choice: u16) -> Failure {
        match self.mode {
            Mode::DryRun if choice.is_multiple_of(2) => Failure::Denied(Reason::new(HELD_BACK, "a dry-run")),
            _ => failure(choice / 2),
        }
    }

    fn nobody_answers(&mut self, step: &StepId) {
        let events = self.feed(&Input::Unanswered { step: step.clone() });
        assert!(events > 0, "the end of the time for an answer means something");
    }

    /// An answer to the attempt before the present one must mean nothing: nothing follows but what time alone brings.
    fn old_answer(&mut self, calls: &[Call], place: usize) {
        let Some(call) = calls.get(place) else { return };
        let input = Input::Answered {
            step: call.step.clone(),
            attempt: call.attempt - 1,
            purpose: call.purpose,
            answer: Ok(Done { outputs: json!({}), summary: "late".to_owned() }),
        };
        let by_time = decide(self.plan, &self.run, &Input::Tick, self.now);
        let before = self.journal.len();
        self.feed(&input);
        let followed: Vec<&Event> = self.journal[before..].iter().map(|(_, event)| event).collect();
        assert_eq!(followed, by_time.iter().collect::<Vec<_>>(), "a late answer means nothing");
    }

    /// The engine dies; the last events of its last decision may not have reached the disk.
    fn crash(&mut self, lost: usize) {
        let lost = lost.min(self.last_decision).min(self.journal.len() - 1);
        self.journal.truncate(self.journal.len() - lost);
        self.last_decision = 0;
        self.run = Run::new(self.plan);
        for (at, event) in &self.journal {
            self.run.apply(*at, event).expect("a journal can be folded");
        }
        for step in in_flight(&self.run) {
            self.feed(&Input::Interrupted { step });
        }
    }
}

/// The steps with a call of which an engine that begins does not know what became.
fn in_flight(run: &Run) -> Vec<StepId> {
    let is_call = |state: &StepState| {
        matches!(
            state,
            StepState::Running(_) | StepState::Observing(_) | StepState::Verifying { .. } | StepState::Undoing { .. }
        )
    };
    run.steps.iter().filter(|step| is_call(&step.state)).map(|step| step.id.clone()).collect()
}

fn calls(effects: &[Effect]) -> Vec<Call> {
    let call = |effect: &Effect| match effect {
        Effect::Invoke(call) => Some(call.clone()),
        _ => None,
    };
    effects.iter().filter_map(call).collect()
}

fn asks(effects: &[Effect]) -> Vec<(StepId, Question, Option<SignedDuration>)> {
    let ask = |effect: &Effect| match effect {
        Effect::Ask { step, question, within } => Some((step.clone(), question.clone(), *within)),
        _ => None,
    };
    effects.iter().filter_map(ask).collect()
}
