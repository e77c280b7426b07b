//! Plugin calls in flight: one task each, known by step, attempt and purpose.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use lifeboat_core::{
    event::Mode,
    failure::{Failure, Reason},
    input::{Call, Purpose},
    name::{RunId, StepId},
};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{
    inbox::{Arrival, Ticket},
    notes::NoteSender,
};
use crate::invoke::{Answer, Invoke, Request};

/// How long a cancelled call may take to end by itself before it is dropped.
const GRACE: Duration = Duration::from_secs(5);

/// What identifies a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallKey {
    pub(super) step: StepId,
    pub(super) attempt: u32,
    pub(super) purpose: Purpose,
}

impl CallKey {
    fn of(call: &Call) -> Self {
        Self { step: call.step.clone(), attempt: call.attempt, purpose: call.purpose }
    }
}

/// A call that has no answer yet.
struct Flight {
    ticket: Ticket,
    cancel: CancellationToken,
    over: CancellationToken,
}

/// The calls of a session.
pub(super) struct Calls {
    invoke: Arc<dyn Invoke>,
    run: RunId,
    mode: Mode,
    arrivals: UnboundedSender<Arrival>,
    notes: NoteSender,
    flying: BTreeMap<CallKey, Flight>,
    /// Cancelled calls that may still be at work, by step: the next call of the step waits for them.
    leaving: BTreeMap<StepId, Vec<CancellationToken>>,
    /// Attempts that have answered. The core never wants one of them again.
    answered: BTreeSet<CallKey>,
    next_ticket: Ticket,
}

impl Calls {
    pub(super) fn new(
        invoke: Arc<dyn Invoke>,
        run: RunId,
        mode: Mode,
        arrivals: UnboundedSender<Arrival>,
        notes: NoteSender,
    ) -> Self {
        Self {
            invoke,
            run,
            mode,
            arrivals,
            notes,
            flying: BTreeMap::new(),
            leaving: BTreeMap::new(),
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
            if !self.flying.contains_key(&key) {
                self.start(key, call);
            }
        }
    }

    /// Cancels every call and returns when all have ended; none outlives the grace period.
    pub(super) async fn wind_down(&mut self) {
        self.reconcile(Vec::new());
        for over in std::mem::take(&mut self.leaving).into_values().flatten() {
            over.cancelled().await;
        }
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
            self.leaving.entry(key.step.clone()).or_default().push(flight.over);
        }
    }

    fn start(&mut self, key: CallKey, call: Call) {
        assert!(!self.answered.contains(&key), "an attempt that has answered is due again: {key:?}");
        self.next_ticket += 1;
        let flight =
            Flight { ticket: self.next_ticket, cancel: CancellationToken::new(), over: CancellationToken::new() };
        let request = Request {
            notes: self.notes.of_step(&key.step),
            run: self.run.clone(),
            mode: self.mode,
            cancel: flight.cancel.clone(),
            call,
        };
        let earlier = self.leaving.remove(&key.step).unwrap_or_default();
        let ticket = flight.ticket;
        let over = flight.over.clone();
        self.flying.insert(key.clone(), flight);
        let (invoke, arrivals) = (Arc::clone(&self.invoke), self.arrivals.clone());
        tokio::spawn(async move {
            let _over = over.drop_guard();
            if let Some(answer) = call_to_its_end(invoke, request, earlier).await {
                // A session that is over takes no answers; the next one finds the call interrupted.
                let _ = arrivals.send(Arrival::Answer { key, ticket, answer });
            }
        });
    }
}

/// A session that is dropped in the middle leaves no call behind that goes on.
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

/// The call ended without an answer that means anything, so nobody knows how far it came.
pub(super) fn lost() -> Failure {
    Failure::Interrupted(Reason::new("run-call-lost", "the call ended without an answer; this is a bug of Lifeboat"))
}
