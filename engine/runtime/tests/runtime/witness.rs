//! A plugin, people and a terminal around real sessions, which write down what really happened, as the virtual world does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lifeboat_core::{
    event::{OperatorAnswer, Person},
    failure::{Failure, Reason},
    input::{Call, Done, Observation, Purpose, Question},
    name::StepId,
    run::Run,
};
use lifeboat_runtime::{
    invoke::{Answer, Invoke, Pending, Request},
    journal::Recorded,
    people::{People, Reply, ReplyAnswer},
    report::{Report, Reporter},
    session::Surroundings,
};
use lifeboat_virtual::{CallMade, ReplyGiven, Truth};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// What happened, through all sessions of a run.
#[derive(Default)]
pub(crate) struct Witness {
    seen: Mutex<Seen>,
    /// The step that fails for good until it is mended.
    broken: Option<StepId>,
    /// The first call of that step waits before it takes effect until it is let go.
    held: Option<StepId>,
    /// Fires when that call waits.
    pub(crate) waits: CancellationToken,
    /// Lets it go.
    pub(crate) goes: CancellationToken,
}

#[derive(Default)]
struct Seen {
    truth: Truth,
    moment: u64,
    /// How many records were durable by what the engine was told.
    durable: u64,
    told: Vec<Recorded>,
    life: usize,
    is_mended: bool,
}

/// A call that began; it is over when this is dropped.
struct Flight {
    witness: Arc<Witness>,
    made: usize,
}

impl Witness {
    /// Of a run in which that step fails for good until it is mended.
    pub(crate) fn of_a_failure(step: StepId) -> Arc<Self> {
        Arc::new(Self { broken: Some(step), ..Self::default() })
    }

    /// Of a run in which the first call of that step waits until it is let go.
    pub(crate) fn of_a_held_call(step: StepId) -> Arc<Self> {
        Arc::new(Self { held: Some(step), ..Self::default() })
    }

    /// What it saw.
    pub(crate) fn truth(&self) -> Truth {
        self.seen().truth.clone()
    }

    /// Everything that a session was told is recorded.
    pub(crate) fn told(&self) -> Vec<Recorded> {
        self.seen().told.clone()
    }

    /// Somebody has removed what the step failed for.
    pub(crate) fn mend(&self) {
        self.seen().is_mended = true;
    }

    /// A session begins behind so many records.
    pub(crate) fn begin_life(&self, records: u64) {
        self.seen().durable = records;
    }

    /// A session has ended, and left so many records. Its calls end with it.
    pub(crate) async fn end_life(&self, records: u64) {
        while self.seen().truth.calls.iter().any(|call| call.ended.is_none()) {
            tokio::task::yield_now().await;
        }
        let mut seen = self.seen();
        seen.truth.left.push(records);
        seen.life += 1;
    }

    /// How often the step took effect.
    pub(crate) fn effects(&self, step: &StepId) -> usize {
        let seen = self.seen();
        seen.truth.calls.iter().filter(|call| call.step == *step && call.effect.is_some()).count()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Surroundings of one session.
    pub(crate) fn surroundings(self: &Arc<Self>, stop: CancellationToken) -> Surroundings {
        Surroundings {
            invoke: Arc::new(Watched(self.clone())),
            people: Arc::new(Watched(self.clone())),
            reporter: Arc::new(Watched(self.clone())),
            stop,
        }
    }

    fn begin_call(self: &Arc<Self>, call: &Call) -> Flight {
        let mut seen = self.seen();
        let began = seen.tick();
        let (durable, life) = (seen.durable, seen.life);
        let same = |made: &&CallMade| made.step == call.step && made.purpose == call.purpose;
        let before = seen.truth.calls.iter().filter(same).count();
        seen.truth.calls.push(CallMade {
            step: call.step.clone(),
            purpose: call.purpose,
            attempt: call.attempt,
            nth: u32::try_from(before).unwrap() + 1,
            life,
            began,
            durable,
            identified: Vec::new(),
            effect: None,
            ended: None,
            outlived: false,
            answer: None,
        });
        Flight { witness: self.clone(), made: seen.truth.calls.len() - 1 }
    }
}

impl Seen {
    fn tick(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }
}

impl Flight {
    fn with<T>(&self, change: impl FnOnce(&mut CallMade, u64) -> T) -> T {
        let mut seen = self.witness.seen();
        let now = seen.tick();
        change(&mut seen.truth.calls[self.made], now)
    }

    fn answers(&self, result: Result<Done, Failure>) -> Answer {
        self.with(|call, _| call.answer = Some(result.as_ref().map(|_| ()).map_err(Failure::kind)));
        Answer::Ran(result)
    }

    fn observes(&self, step: &StepId) -> Answer {
        let happened = self.witness.seen().truth.standing_effect(step).is_some();
        self.with(|call, _| call.answer = Some(Ok(())));
        Answer::Observed(Ok(if happened { Observation::Done(done()) } else { Observation::NotDone }))
    }

    /// The call that a test holds waits until it is let go.
    async fn is_held(&self, step: &StepId) {
        let witness = &self.witness;
        let is_first = self.with(|call, _| call.purpose == Purpose::Run && call.nth == 1);
        if is_first && witness.held.as_ref() == Some(step) {
            witness.waits.cancel();
            witness.goes.cancelled().await;
        }
    }
}

/// A call works for a moment; whether it was told to end.
async fn works(cancel: &CancellationToken) -> bool {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
    cancel.is_cancelled()
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.with(|call, now| call.ended = Some(now));
    }
}

fn done() -> Done {
    Done { outputs: json!({}), summary: "done".to_owned() }
}

/// Shares a witness with a session.
struct Watched(Arc<Witness>);

impl Invoke for Watched {
    lifeboat_runtime::holds_nothing!();

    fn invoke(&self, request: Request) -> Pending<Answer> {
        let flight = self.0.begin_call(&request.call);
        Box::pin(async move {
            let step = &request.call.step;
            let cut_off = || Failure::Interrupted(Reason::new("test-cancelled", "it was told to end"));
            if works(&request.cancel).await {
                return flight.answers(Err(cut_off()));
            }
            if request.call.purpose == Purpose::Observe {
                return flight.observes(step);
            }
            flight.is_held(step).await;
            // As the host does before each change.
            if let Err(lost) = request.fence.check() {
                return flight.answers(Err(Failure::Permanent(lost)));
            }
            if flight.witness.broken.as_ref() == Some(step) && !flight.witness.seen().is_mended {
                return flight.answers(Err(Failure::Permanent(Reason::new("test-failed", "as planned"))));
            }
            flight.with(|call, now| call.effect = Some(now));
            if works(&request.cancel).await {
                return flight.answers(Err(cut_off()));
            }
            flight.answers(Ok(done()))
        })
    }
}

impl People for Watched {
    /// A person who agrees, and who looks before they say what became of an attempt.
    fn ask(&self, step: StepId, question: Question, _cancel: CancellationToken) -> Pending<Option<Reply>> {
        let witness = self.0.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            let who = Person::User { name: "dba".to_owned() };
            let mut seen = witness.seen();
            let answer = match question {
                Question::Approve { .. } => ReplyAnswer::Approval { approved: true, comment: None },
                Question::Hands { .. } => ReplyAnswer::Evidence(json!({})),
                Question::Decide { .. } if seen.truth.standing_effect(&step).is_some() => {
                    ReplyAnswer::Decision(OperatorAnswer::ItHappened { outputs: json!({}) })
                }
                Question::Decide { .. } => ReplyAnswer::Decision(OperatorAnswer::RunAgain),
            };
            seen.truth.replies.push(ReplyGiven { step, who: who.clone(), good: true });
            Some(Reply { who, answer })
        })
    }
}

impl Reporter for Watched {
    fn report(&self, report: &Report, _run: &Run) {
        if let Report::Recorded(record) = report {
            let mut seen = self.0.seen();
            seen.durable = record.seq;
            seen.told.push(record.clone());
        }
    }
}
