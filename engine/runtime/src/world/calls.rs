//! Plugin calls in flight: one task each, known by step, attempt and purpose.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use jiff::Timestamp;
use lifeboat_core::{
    event::Mode,
    input::{Call, Purpose},
    name::{RoleName, RunId, StepId},
};
use tokio::sync::{mpsc::UnboundedSender, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::{
    inbox::{Arrival, CallKey, Ticket, lost},
    notes::NoteSender,
};
use crate::{
    invoke::{Answer, Deadline, Fence, Invoke, Request},
    variant,
};

/// How long a cancelled call may take to end by itself before it is dropped.
const GRACE: Duration = Duration::from_secs(5);

/// A call that has no answer yet.
struct Flight {
    ticket: Ticket,
    cancel: CancellationToken,
    over: CancellationToken,
    deadline: watch::Sender<Option<Timestamp>>,
    targets: BTreeSet<RoleName>,
}

/// A cancelled call that may still be at work: the next one of its step waits for it, and whatever else works on one of its targets.
struct Leaving {
    step: StepId,
    targets: BTreeSet<RoleName>,
    over: CancellationToken,
}

/// The calls of a session.
pub(super) struct Calls {
    invoke: Arc<dyn Invoke>,
    run: RunId,
    mode: Mode,
    fence: Arc<dyn Fence>,
    arrivals: UnboundedSender<Arrival>,
    notes: NoteSender,
    flying: BTreeMap<CallKey, Flight>,
    /// Cancelled calls that may still be at work.
    leaving: Vec<Leaving>,
    /// Attempts that have answered. The core never wants one of them again.
    answered: BTreeSet<CallKey>,
    next_ticket: Ticket,
}

impl Calls {
    pub(super) fn new(
        invoke: Arc<dyn Invoke>,
        run: RunId,
        mode: Mode,
        fence: Arc<dyn Fence>,
        arrivals: UnboundedSender<Arrival>,
        notes: NoteSender,
    ) -> Self {
        Self {
            invoke,
            run,
            mode,
            fence,
            arrivals,
            notes,
            flying: BTreeMap::new(),
            leaving: Vec::new(),
            answered: BTreeSet::new(),
            next_ticket: 0,
        }
    }

    /// Whether no call is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.flying.is_empty()
    }

    /// Cancels the calls that are not among the wanted ones, and starts the missing ones.
    pub(super) fn reconcile(&mut self, wanted: Vec<Call>) {
        let keys: BTreeSet<CallKey> = wanted.iter().map(CallKey::of).collect();
        let surplus: Vec<CallKey> = self.flying.keys().filter(|key| !keys.contains(*key)).cloned().collect();
        for key in surplus {
            self.cancel(&key);
        }
        for call in wanted {
            let key = CallKey::of(&call);
            match self.flying.get(&key) {
                // It moves where the run is paused, and where it continues.
                Some(flight) => drop(flight.deadline.send_if_modified(|at| {
                    let moves = *at != call.deadline;
                    *at = call.deadline;
                    moves
                })),
                None => self.start(key, call),
            }
        }
    }

    /// Tells every call to end. What one still answers counts, unlike the answer of a call that is surplus.
    pub(super) fn hurry(&self) {
        for flight in self.flying.values() {
            flight.cancel.cancel();
        }
    }

    /// Returns when every call has ended and has sent its answer; after [`Calls::hurry`] none outlives the grace period.
    pub(super) async fn ended(&self) {
        for over in self.flying.values().map(|flight| &flight.over).chain(self.leaving.iter().map(|call| &call.over)) {
            over.cancelled().await;
        }
    }

    /// Drops every call and returns when all have ended; none outlives the grace period.
    pub(super) async fn wind_down(&mut self) {
        self.reconcile(Vec::new());
        self.ended().await;
    }

    /// Takes the call out of those in flight; false where the answer is that of a call that was cancelled.
    pub(super) fn arrived(&mut self, key: &CallKey, ticket: Ticket) -> bool {
        if self.flying.get(key).is_none_or(|flight| flight.ticket != ticket) {
            return false;
        }
        self.flying.remove(key);
        if matches!(key.purpose, Purpose::Run | Purpose::Undo) {
            self.answered.insert(key.clone());
        }
        true
    }

    fn cancel(&mut self, key: &CallKey) {
        if let Some(flight) = self.flying.remove(key) {
            flight.cancel.cancel();
            self.leaving.push(Leaving { step: key.step.clone(), targets: flight.targets, over: flight.over });
        }
    }

    fn start(&mut self, key: CallKey, call: Call) {
        assert!(!self.answered.contains(&key), "an attempt that has answered is due again: {key:?}");
        self.next_ticket += 1;
        let (sender, deadline) = Deadline::moving(call.deadline);
        let (cancel, over) = (CancellationToken::new(), CancellationToken::new());
        let targets: BTreeSet<RoleName> = call.grants.keys().cloned().collect();
        self.leaving.retain(|earlier| !earlier.over.is_cancelled());
        let in_the_way = |earlier: &&Leaving| earlier.step == key.step || !earlier.targets.is_disjoint(&targets);
        let earlier = self.leaving.iter().filter(in_the_way).map(|earlier| earlier.over.clone()).collect();
        let span = span(&call);
        let flight = Flight { ticket: self.next_ticket, cancel, over, deadline: sender, targets };
        let request = Request {
            notes: self.notes.of_step(&key.step),
            run: self.run.clone(),
            mode: self.mode,
            deadline,
            cancel: flight.cancel.clone(),
            fence: self.fence.clone(),
            call,
        };
        let ticket = flight.ticket;
        let over = flight.over.clone();
        self.flying.insert(key.clone(), flight);
        let (invoke, arrivals) = (Arc::clone(&self.invoke), self.arrivals.clone());
        let work = async move {
            let _over = over.drop_guard();
            if let Some(answer) = call_to_its_end(invoke, request, earlier).await {
                log(&answer);
                // A session that is over takes no answers; the next one finds the call interrupted.
                let _ = arrivals.send(Arrival::Answer { key, ticket, answer });
            }
        };
        tokio::spawn(work.instrument(span));
    }
}

/// What operators debug with: the attempt within its step. Parameters can hold secrets and are left out.
fn span(call: &Call) -> Span {
    let step = tracing::debug_span!("step", step = %call.step);
    let Call { attempt, purpose, action, .. } = call;
    tracing::debug_span!(parent: &step, "attempt", attempt, purpose = variant::name(purpose), %action)
}

/// How a call ended, without what it brought back.
fn log(answer: &Answer) {
    match answer {
        Answer::Ran(Ok(_)) | Answer::Observed(Ok(_)) => tracing::debug!("answered"),
        Answer::Ran(Err(failure)) | Answer::Observed(Err(failure)) => {
            tracing::debug!(failure = ?failure.kind(), code = failure.reason().code, "failed");
        }
    }
}

/// A session that is dropped in the middle leaves no call behind that continues.
impl Drop for Calls {
    fn drop(&mut self) {
        for flight in self.flying.values() {
            flight.cancel.cancel();
        }
    }
}

/// `None` where the call was cancelled and did not end in time.
async fn call_to_its_end(invoke: Arc<dyn Invoke>, request: Request, earlier: Vec<CancellationToken>) -> Option<Answer> {
    for over in earlier {
        over.cancelled().await;
    }
    let cancel = request.cancel.clone();
    if cancel.is_cancelled() {
        return None;
    }
    let call = AssertUnwindSafe(async move { invoke.invoke(request).await }).catch_unwind();
    tokio::select! {
        biased;
        answer = call => Some(answer.unwrap_or_else(|_| Answer::Ran(Err(lost())))),
        () = after_grace(&cancel) => None,
    }
}

async fn after_grace(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use lifeboat_core::{action::Effect, input::Done, name::ActionName};
    use serde_json::json;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::{super::notes::notes, *};
    use crate::invoke::{Pending, Unfenced};

    /// A plugin that says what it does, and ends when it is let go.
    #[derive(Default)]
    struct Slow {
        said: Arc<Mutex<Vec<String>>>,
        began: CancellationToken,
        go: CancellationToken,
    }

    impl Invoke for Slow {
        crate::holds_nothing!();

        fn invoke(&self, request: Request) -> Pending<Answer> {
            let (said, go, began) = (Arc::clone(&self.said), self.go.clone(), self.began.clone());
            Box::pin(async move {
                said.lock().unwrap().push(format!("began {}", name(&request.call)));
                began.cancel();
                go.cancelled().await;
                said.lock().unwrap().push(format!("ended {}", name(&request.call)));
                Answer::Ran(Ok(Done { outputs: json!({}), summary: String::new() }))
            })
        }
    }

    /// The attempts of `merge` are told apart by their number, other steps by their name.
    fn name(call: &Call) -> String {
        if call.step.as_str() == "merge" { call.attempt.to_string() } else { call.step.to_string() }
    }

    fn call(attempt: u32) -> Call {
        Call {
            step: StepId::new("merge").unwrap(),
            attempt,
            purpose: Purpose::Run,
            action: ActionName::new("test/merge").unwrap(),
            parameters: json!({}),
            grants: BTreeMap::new(),
            deadline: None,
        }
    }

    fn calls(plugin: Arc<Slow>) -> (Calls, UnboundedReceiver<Arrival>) {
        let (sender, arrivals) = unbounded_channel();
        let run = RunId::new("dr-003-20261121-7f3a").unwrap();
        (Calls::new(plugin, run, Mode::Real, Arc::new(Unfenced), sender, notes().0), arrivals)
    }

    /// A plugin that tells each instant at which its call would be over.
    struct Watching(UnboundedSender<Option<Timestamp>>);

    impl Invoke for Watching {
        crate::holds_nothing!();

        fn invoke(&self, request: Request) -> Pending<Answer> {
            let told = self.0.clone();
            Box::pin(async move {
                loop {
                    let moved = request.deadline.moved();
                    told.send(request.deadline.at()).unwrap();
                    moved.await;
                }
            })
        }
    }

    #[tokio::test]
    async fn a_call_in_flight_hears_that_its_deadline_moves() {
        let (sender, mut told) = unbounded_channel();
        let (arrivals, _kept) = unbounded_channel();
        let run = RunId::new("dr-003-20261121-7f3a").unwrap();
        let mut calls =
            Calls::new(Arc::new(Watching(sender)), run, Mode::Real, Arc::new(Unfenced), arrivals, notes().0);
        for deadline in [Some(Timestamp::UNIX_EPOCH), None, Some(Timestamp::MAX)] {
            calls.reconcile(vec![Call { deadline, ..call(1) }]);
            assert_eq!(told.recv().await.unwrap(), deadline);
        }
    }

    async fn next_answer(arrivals: &mut UnboundedReceiver<Arrival>) -> (CallKey, Ticket) {
        match arrivals.recv().await.unwrap() {
            Arrival::Answer { key, ticket, .. } => (key, ticket),
            Arrival::Reply { .. } | Arrival::Request(_) => panic!("nobody was asked"),
        }
    }

    #[tokio::test]
    async fn the_next_attempt_waits_until_the_cancelled_one_has_ended() {
        let plugin = Arc::new(Slow::default());
        let (mut calls, mut arrivals) = calls(Arc::clone(&plugin));
        calls.reconcile(vec![call(1)]);
        plugin.began.cancelled().await;
        calls.reconcile(vec![call(2)]);
        plugin.go.cancel();

        let (first, ticket) = next_answer(&mut arrivals).await;
        assert_eq!(first.attempt, 1);
        assert!(!calls.arrived(&first, ticket), "the answer of a cancelled call moves nothing");
        let (second, ticket) = next_answer(&mut arrivals).await;
        assert!(calls.arrived(&second, ticket) && calls.is_empty());
        assert_eq!(*plugin.said.lock().unwrap(), ["began 1", "ended 1", "began 2", "ended 2"]);
    }

    #[tokio::test]
    async fn what_works_on_the_same_target_waits_too_and_nothing_else() {
        let on = |step: &str, role: &str| Call {
            step: StepId::new(step).unwrap(),
            grants: BTreeMap::from([(RoleName::new(role).unwrap(), Effect::Destroy)]),
            ..call(1)
        };
        let plugin = Arc::new(Slow::default());
        let (mut calls, mut arrivals) = calls(Arc::clone(&plugin));
        calls.reconcile(vec![on("restore", "recovery")]);
        plugin.began.cancelled().await;
        let (tidy, tell) = (on("tidy", "recovery"), on("tell", "oncall"));
        calls.reconcile(vec![tidy, tell]);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(*plugin.said.lock().unwrap(), ["began restore", "began tell"]);
        plugin.go.cancel();
        for _ in 0..3 {
            next_answer(&mut arrivals).await;
        }
        let said = plugin.said.lock().unwrap().clone();
        let place = |what: &str| said.iter().position(|said| said == what).unwrap();
        assert!(place("ended restore") < place("began tidy"), "{said:?}");
    }

    #[tokio::test]
    async fn what_stays_due_goes_on_and_what_is_dropped_ends() {
        let plugin = Arc::new(Slow::default());
        let (mut calls, mut arrivals) = calls(Arc::clone(&plugin));
        calls.reconcile(vec![call(1)]);
        plugin.began.cancelled().await;
        calls.reconcile(vec![call(1)]);
        assert_eq!(calls.flying.len(), 1);
        let cancel = calls.flying.values().next().unwrap().cancel.clone();
        drop(calls);
        assert!(cancel.is_cancelled());
        plugin.go.cancel();
        next_answer(&mut arrivals).await;
        assert_eq!(*plugin.said.lock().unwrap(), ["began 1", "ended 1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_does_not_end_when_cancelled_is_dropped() {
        let plugin = Arc::new(Slow::default());
        let (mut calls, mut arrivals) = calls(Arc::clone(&plugin));
        calls.reconcile(vec![call(1)]);
        plugin.began.cancelled().await;
        calls.wind_down().await;
        assert!(arrivals.try_recv().is_err());
        assert_eq!(*plugin.said.lock().unwrap(), ["began 1"]);
    }

    #[tokio::test]
    #[should_panic(expected = "an attempt that has answered is due again")]
    async fn an_attempt_that_has_answered_is_never_run_again() {
        let plugin = Arc::new(Slow::default());
        plugin.go.cancel();
        let (mut calls, mut arrivals) = calls(plugin);
        calls.reconcile(vec![call(1)]);
        let (key, ticket) = next_answer(&mut arrivals).await;
        calls.arrived(&key, ticket);
        calls.reconcile(vec![call(1)]);
    }
}
