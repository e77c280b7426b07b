//! A world in memory: seeded, with its own time, in which the engine can be crashed at every point.
//!
//! The systems outlive the engine. They count how often each action took effect, which shows whether anything that must not
//! happen twice did.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    event::{Event, OperatorAnswer, Person},
    failure::{Failure, Reason},
    input::{Call, Done, Effect, Input, Observation, Purpose, Question},
    name::StepId,
    plan::{Plan, StepKind},
    run::Run,
};
use lifeboat_runtime::{
    Error,
    driver::{Next, World},
    journal::{Journal, Recorded},
    report::Report,
};
use serde_json::json;

/// When the engine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Never.
    Never,
    /// Right after the decision with that number is on disk.
    After(u64),
    /// While that decision is being written.
    During(u64),
    /// Not at once: it is told to stop after that decision, and winds down.
    Stop(u64),
}

/// The systems that a run works on. They stay when the engine ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Systems {
    /// How often each step's action took effect.
    pub(crate) effects: BTreeMap<StepId, u32>,
    /// Which steps were taken back.
    pub(crate) undone: BTreeSet<StepId>,
    /// How often each step's action was run.
    runs: BTreeMap<StepId, u32>,
    /// How many attempts of each step the engine began.
    pub(crate) begun: BTreeMap<StepId, u32>,
    /// So many first runs of a step fail for the moment.
    pub(crate) flaky: BTreeMap<StepId, u32>,
    /// These always fail.
    pub(crate) broken: BTreeSet<StepId>,
    /// These cannot be taken back.
    pub(crate) lasting: BTreeSet<StepId>,
    once: BTreeSet<StepId>,
}

impl Systems {
    /// Systems that object to a second effect of any action that must happen once.
    pub(crate) fn of(plan: &Plan) -> Self {
        let once = plan.steps.iter().filter(|step| matches!(&step.kind, StepKind::Uses(uses) if !uses.idempotent));
        Self { once: once.map(|step| step.id.clone()).collect(), ..Self::default() }
    }

    fn happened(&self, step: &StepId) -> bool {
        self.effects.contains_key(step)
    }

    fn run(&mut self, call: &Call) -> Result<Done, Failure> {
        let reason = || Reason::new("test-failed", "as planned");
        if call.purpose == Purpose::Undo {
            if self.lasting.contains(&call.step) {
                return Err(Failure::Permanent(reason()));
            }
            self.undone.insert(call.step.clone());
            return Ok(done(call));
        }
        let runs = self.runs.entry(call.step.clone()).or_default();
        *runs += 1;
        if self.broken.contains(&call.step) {
            return Err(Failure::Permanent(reason()));
        }
        if *runs <= self.flaky.get(&call.step).copied().unwrap_or(0) {
            return Err(Failure::Transient(reason()));
        }
        let effects = self.effects.entry(call.step.clone()).or_default();
        *effects += 1;
        assert!(*effects == 1 || !self.once.contains(&call.step), "`{}` was silently run twice", call.step);
        Ok(done(call))
    }
}

fn done(call: &Call) -> Done {
    Done { outputs: json!({ "step": call.step.as_str() }), summary: "done".to_owned() }
}

type Key = (StepId, u32, Purpose);

/// The world of one session.
pub(crate) struct VirtualWorld {
    now: Timestamp,
    random: Random,
    crash: Crash,
    decisions: u64,
    journal: Journal<Vec<u8>>,
    torn: Vec<u8>,
    calls: BTreeMap<Key, (Timestamp, u64, Call)>,
    questions: BTreeMap<StepId, (Timestamp, u64, Question)>,
    /// Calls that ended without an answer while the engine wound down.
    lost: Vec<Call>,
    wake_at: Option<Timestamp>,
    stopping: bool,
    order: u64,
    /// What the engine works on.
    pub(crate) systems: Systems,
}

impl VirtualWorld {
    /// A world that goes on where the journal ends.
    pub(crate) fn new(seed: u64, crash: Crash, journal: Journal<Vec<u8>>, systems: Systems) -> Self {
        let start = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000);
        let now = journal.end().at.unwrap_or(start);
        Self {
            now,
            random: Random(seed),
            crash,
            decisions: 0,
            journal,
            torn: Vec::new(),
            calls: BTreeMap::new(),
            questions: BTreeMap::new(),
            lost: Vec::new(),
            wake_at: None,
            stopping: false,
            order: 0,
            systems,
        }
    }

    /// The engine is gone: what is on disk, and the systems. Calls in flight may have taken effect all the same.
    pub(crate) fn end(mut self) -> (Vec<u8>, Systems) {
        let calls = std::mem::take(&mut self.calls);
        for call in calls.into_values().map(|(_, _, call)| call).chain(std::mem::take(&mut self.lost)) {
            if call.purpose != Purpose::Observe && self.random.below(2) == 0 {
                // Nobody is there to hear the answer.
                let _ = self.systems.run(&call);
            }
        }
        let mut bytes = self.journal.medium().clone();
        bytes.extend_from_slice(&self.torn);
        (bytes, self.systems)
    }

    fn crashed(&self) -> bool {
        matches!(self.crash, Crash::After(last) if self.decisions >= last)
    }

    /// A call that was told to end: half of them end without an answer, and a failure is none.
    fn last_answer(&mut self) -> Option<Input> {
        while let Some((_, (_, _, call))) = self.calls.pop_first() {
            let input = if self.random.below(2) == 0 { Some(self.answer(&call)) } else { None };
            match input {
                Some(Input::Answered { answer: Err(_), .. }) => {}
                Some(input) => return Some(input),
                None => self.lost.push(call),
            }
        }
        None
    }

    fn later(&mut self) -> (Timestamp, u64) {
        self.order += 1;
        let latency_ms = i64::try_from(1 + self.random.below(5_000)).unwrap();
        (self.now + SignedDuration::from_millis(latency_ms), self.order)
    }

    fn answer(&mut self, call: &Call) -> Input {
        let (step, attempt, purpose) = (call.step.clone(), call.attempt, call.purpose);
        if purpose == Purpose::Observe {
            let observed =
                if self.systems.happened(&step) { Observation::Done(done(call)) } else { Observation::NotDone };
            return Input::Observed { step, attempt, observation: Ok(observed) };
        }
        Input::Answered { step, attempt, purpose, answer: self.systems.run(call) }
    }

    /// People who tell the truth.
    fn reply(&self, step: StepId, question: &Question) -> Input {
        let who = Person::Policy { name: "honest".to_owned() };
        match question {
            Question::Approve { .. } => Input::Approval { step, who, approved: true, comment: None },
            Question::Hands { evidence, .. } => {
                let evidence = evidence.keys().map(|name| (name.clone(), json!("T-1"))).collect();
                Input::Hands { step, who, evidence: serde_json::Value::Object(evidence) }
            }
            Question::Decide { .. } if self.systems.happened(&step) => {
                let outputs = json!({ "step": step.as_str() });
                Input::Operator { step, who, answer: OperatorAnswer::ItHappened { outputs } }
            }
            Question::Decide { .. } => Input::Operator { step, who, answer: OperatorAnswer::RunAgain },
        }
    }

    fn first(&self) -> Option<(Timestamp, u64, Happening)> {
        let calls = self.calls.iter().map(|(key, (at, order, _))| (*at, *order, Happening::Call(key.clone())));
        let replies = self.questions.iter().map(|(step, (at, order, _))| (*at, *order, Happening::Reply(step.clone())));
        let wake = self.wake_at.map(|at| (at.max(self.now), u64::MAX, Happening::Wake));
        calls.chain(replies).chain(wake).min_by_key(|(at, order, _)| (*at, *order))
    }

    fn happen(&mut self, happening: Happening) -> Option<Input> {
        match happening {
            Happening::Wake => {
                self.wake_at = None;
                Some(Input::Tick)
            }
            Happening::Call(key) => self.calls.remove(&key).map(|(_, _, call)| self.answer(&call)),
            Happening::Reply(step) => self.questions.remove(&step).map(|(_, _, question)| self.reply(step, &question)),
        }
    }
}

enum Happening {
    Call(Key),
    Reply(StepId),
    Wake,
}

impl World for VirtualWorld {
    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn is_stopping(&mut self) -> bool {
        self.stopping |= matches!(self.crash, Crash::Stop(last) if self.decisions >= last);
        self.stopping
    }

    async fn next(&mut self) -> Next {
        if self.crashed() {
            return Next::Stopped;
        }
        if self.is_stopping() {
            return self.last_answer().map_or(Next::Stopped, |input| Next::Input(self.now, input));
        }
        let Some((at, _, happening)) = self.first() else { return Next::Quiet };
        self.now = at;
        self.happen(happening).map_or(Next::Quiet, |input| Next::Input(at, input))
    }

    fn reconcile(&mut self, due: Vec<Effect>) {
        // What was recorded before the engine was asked whether it stops is begun.
        if self.stopping {
            return;
        }
        let (mut calls, mut questions) = (BTreeMap::new(), BTreeMap::new());
        self.wake_at = None;
        for effect in due {
            match effect {
                Effect::Invoke(call) => drop(calls.insert((call.step.clone(), call.attempt, call.purpose), call)),
                Effect::Ask { step, question, .. } => drop(questions.insert(step, question)),
                Effect::WakeAt(at) | Effect::ExpiresAt(at) => {
                    self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)))
                }
                // Nobody pauses a run here.
                Effect::Hold => {}
            }
        }
        self.calls.retain(|key, _| calls.contains_key(key));
        self.questions.retain(|step, (_, _, asked)| questions.get(step) == Some(asked));
        for (key, call) in calls {
            if !self.calls.contains_key(&key) {
                let (at, order) = self.later();
                if call.purpose == Purpose::Run {
                    *self.systems.begun.entry(call.step.clone()).or_default() += 1;
                }
                self.calls.insert(key, (at, order, call));
            }
        }
        for (step, question) in questions {
            if !self.questions.contains_key(&step) {
                let (at, order) = self.later();
                self.questions.insert(step, (at, order, question));
            }
        }
    }

    async fn append(&mut self, at: Timestamp, events: &[Event]) -> Result<Vec<Recorded>, Error> {
        self.decisions += 1;
        let before = self.journal.medium().len();
        let records = self.journal.append(at, events).unwrap();
        if self.crash == Crash::During(self.decisions) {
            let written = self.journal.medium()[before..].to_vec();
            let kept = usize::try_from(self.random.below(written.len() as u64)).unwrap();
            let whole = self.journal.medium()[..before].to_vec();
            self.torn = [whole, written[..kept].to_vec()].concat();
            self.journal = Journal::begin(Vec::new(), &lifeboat_core::name::RunId::new("gone").unwrap());
            let source = std::io::Error::other("the power is gone");
            return Err(Error::Disk { path: "journal.jsonl".into(), source });
        }
        Ok(records)
    }

    fn report(&mut self, _report: Report, _run: &Run) {}
}

/// SplitMix64: a seed gives the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}
