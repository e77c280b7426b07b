//! The state of one call: what it may do, when it must end, and what is known of how far it came.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use lifeboat_core::{bindings::Bindings, failure::Reason};
use lifeboat_runtime::invoke::{Deadline, Fence, Note};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use wasmtime::{ResourceLimiter, component::ResourceTable};

use crate::{
    capability::{Outward, OwnStates, Sessions},
    grants::Grants,
    limits::Limits,
    secret::Secrets,
};

/// Everything that a capability may know of the call it serves.
pub(crate) struct CallContext {
    /// `run/step`, as connections name themselves.
    pub(crate) key: String,
    /// What the call may do.
    pub(crate) grants: Grants,
    /// The real systems behind the roles.
    pub(crate) bindings: Arc<Bindings>,
    /// Resolves and scrubs secrets.
    pub(crate) secrets: Arc<Secrets>,
    deadline: Deadline,
    /// When a call of a step without a deadline must end; `None` where the step has one.
    otherwise: Option<Instant>,
    wall: Duration,
    /// Fires when it should end.
    pub(crate) cancel: CancellationToken,
    /// How long the guest may go on afterwards.
    pub(crate) grace: Duration,
    /// Where notes go.
    pub(crate) notes: Arc<dyn Fn(Note) + Send + Sync>,
    fence: Arc<dyn Fence>,
    /// What capabilities keep for all calls.
    pub(crate) sessions: Arc<Sessions>,
    /// What they keep for this one.
    pub(crate) own: OwnStates,
    refused: OnceLock<Reason>,
    changing: AtomicBool,
    uncertain: AtomicBool,
}

/// Why a wait ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CutOff {
    /// The deadline passed.
    Deadline,
    /// The call was cancelled.
    Cancelled,
}

impl CutOff {
    /// Code and message.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::Deadline => Reason::new("host-deadline", "the attempt ran out of time"),
            Self::Cancelled => Reason::new("host-cancelled", "the call was cancelled"),
        }
    }
}

/// What a call is made with.
pub(crate) struct NewCall {
    pub(crate) key: String,
    pub(crate) grants: Grants,
    pub(crate) bindings: Arc<Bindings>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) deadline: Deadline,
    pub(crate) cancel: CancellationToken,
    pub(crate) notes: Arc<dyn Fn(Note) + Send + Sync>,
    pub(crate) fence: Arc<dyn Fence>,
    pub(crate) sessions: Arc<Sessions>,
}

impl CallContext {
    pub(crate) fn new(call: NewCall, limits: &Limits) -> Self {
        let otherwise = call.deadline.at().is_none().then(|| Instant::now() + limits.wall);
        Self {
            key: call.key,
            grants: call.grants,
            bindings: call.bindings,
            secrets: call.secrets,
            deadline: call.deadline,
            otherwise,
            wall: limits.wall,
            cancel: call.cancel,
            grace: limits.grace,
            notes: call.notes,
            fence: call.fence,
            sessions: call.sessions,
            own: OwnStates::default(),
            refused: OnceLock::new(),
            changing: AtomicBool::new(false),
            uncertain: AtomicBool::new(false),
        }
    }

    /// Whether the call should be over, and why.
    pub(crate) fn cut_off(&self) -> Option<CutOff> {
        if self.cancel.is_cancelled() {
            Some(CutOff::Cancelled)
        } else if self.ends().is_some_and(|end| Instant::now() >= end) {
            Some(CutOff::Deadline)
        } else {
            None
        }
    }

    /// When it must end, as it stands at this moment; `None` while the run is paused.
    fn ends(&self) -> Option<Instant> {
        self.otherwise.or_else(|| {
            let left = self.deadline.at()?.duration_since(Timestamp::now());
            Some(Instant::now() + Duration::try_from(left).unwrap_or(Duration::ZERO))
        })
    }

    /// Returns when the call must have ended.
    async fn ended(&self) {
        match self.otherwise {
            Some(end) => tokio::time::sleep_until(end).await,
            None => self.deadline.passed().await,
        }
    }

    /// Waits for something, but not beyond the deadline or a cancellation. What is cut off is dropped.
    pub(crate) async fn bounded<T>(&self, work: impl Future<Output = T>) -> Result<T, CutOff> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(CutOff::Cancelled),
            () = self.ended() => Err(CutOff::Deadline),
            done = work => Ok(done),
        }
    }

    /// Resolves when the call should have been over for the whole grace: whatever still runs then is dropped.
    pub(crate) async fn overdue(&self) {
        let cut = self.bounded(std::future::pending::<()>()).await;
        debug_assert!(cut.is_err(), "nothing else can end the wait");
        tokio::time::sleep(self.grace).await;
    }

    /// To be called before each change of something outside. Refuses where the run has lost a lease.
    pub(crate) fn change(&self) -> Result<(), Reason> {
        self.fence.check().map_err(|lost| self.refuse(lost))?;
        self.changing.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the run has its leases still.
    pub(crate) fn has_leases(&self) -> Result<(), Reason> {
        self.fence.check()
    }

    /// Remembers that a change was refused because the run has lost a lease, whatever the guest makes of it.
    pub(crate) fn refuse(&self, lost: Reason) -> Reason {
        self.refused.get_or_init(|| lost).clone()
    }

    /// Why a change was refused, if one was.
    pub(crate) fn refused(&self) -> Option<&Reason> {
        self.refused.get()
    }

    /// Whether anything outside may have been changed.
    pub(crate) fn has_changed(&self) -> bool {
        self.changing.load(Ordering::Relaxed)
    }

    /// Says that a change was cut off: it is unknown whether it took effect.
    pub(crate) fn note_uncertain(&self) {
        self.uncertain.store(true, Ordering::Relaxed);
    }

    /// Whether a change was cut off.
    pub(crate) fn is_uncertain(&self) -> bool {
        self.uncertain.load(Ordering::Relaxed)
    }

    /// Time until the deadline; in a paused run the longest that a call may take.
    pub(crate) fn left(&self) -> Duration {
        self.ends().map_or(self.wall, |end| end.saturating_duration_since(Instant::now()))
    }

    /// Serves a function of a capability. Its error goes to the guest without secrets.
    pub(crate) async fn serve<T, E: Outward>(
        &self,
        function: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> wasmtime::Result<Result<T, E>> {
        let answer = work.instrument(tracing::trace_span!("capability", function)).await;
        Ok(answer.map_err(|error| error.scrubbed(&self.secrets)).inspect_err(|error| {
            tracing::debug!(function, code = error.code(), "refused or failed");
        }))
    }

    /// Sends a note on, without secrets.
    pub(crate) fn note(&self, note: Note) {
        (self.notes)(match note {
            Note::Progress { done, total, unit, message } => {
                Note::Progress { done, total, unit, message: self.secrets.scrub(message) }
            }
            Note::Log { level, message, fields } => Note::Log {
                level,
                message: self.secrets.scrub(message),
                fields: fields.into_iter().map(|(name, value)| (name, self.secrets.scrub(value))).collect(),
            },
        });
    }
}

/// What a store holds: the call, the guest's handles, and its limits. It knows no capability: what one keeps for a call is in the
/// context ([`CallContext::own`]), which outlives the store.
pub(crate) struct CallState {
    pub(crate) context: Arc<CallContext>,
    pub(crate) table: ResourceTable,
    limits: Limits,
    /// A growth beyond the limit was refused; the trap that follows is explained by it.
    pub(crate) memory_refused: bool,
    /// When the guest that should have ended is stopped.
    pub(crate) stop_at: Option<Instant>,
}

impl CallState {
    pub(crate) fn new(context: Arc<CallContext>, limits: Limits) -> Self {
        Self { context, table: ResourceTable::new(), limits, memory_refused: false, stop_at: None }
    }
}

impl ResourceLimiter for CallState {
    fn memory_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= self.limits.memory_bytes;
        self.memory_refused |= !fits;
        Ok(fits)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= self.limits.table_elements;
        self.memory_refused |= !fits;
        Ok(fits)
    }

    fn instances(&self) -> usize {
        16
    }

    fn tables(&self) -> usize {
        4
    }

    fn memories(&self) -> usize {
        1
    }
}
