//! Running calls: `lifeboat_runtime::invoke::Invoke` over loaded plugins. Whatever a plugin does, the answer is a `Failure` of its
//! step and nothing else is harmed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lifeboat_core::{
    action::Field,
    bindings::Bindings,
    event::Mode,
    failure::{Failure, HELD_BACK, Reason},
    fit,
    input::{Done, Observation, Purpose},
    plan::Plan,
    text,
};
use lifeboat_runtime::{
    holder::Holder,
    invoke::{Answer, Deadline, Invoke, Pending, Request, Unfenced},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use wasmtime::{Store, Trap};

use crate::{
    answer,
    call::{CallContext, CallState, CutOff, NewCall},
    capability::Sessions,
    component::{Loaded, MemoryRefused, Stopped},
    grants::Grants,
    limits::Limits,
    secret::Secrets,
    wit::{self, lifeboat::plugin::types},
};

/// Of what the engine says about a guest that broke off.
const CAUSE_BYTES_MAX: usize = 1024;

/// How long taking the targets may take before the run begins.
const HOLD_MAX: Duration = Duration::from_secs(30);

/// Plugins, a plan and the real systems behind its roles, with what the capabilities keep for it.
#[derive(Clone)]
pub(crate) struct Bound {
    plugins: Arc<BTreeMap<String, Loaded>>,
    permits: Arc<Semaphore>,
    limits: Limits,
    plan: Arc<Plan>,
    bindings: Arc<Bindings>,
    secrets: Arc<Secrets>,
    sessions: Arc<Sessions>,
}

impl Bound {
    pub(crate) fn new(
        plugins: Arc<BTreeMap<String, Loaded>>,
        permits: Arc<Semaphore>,
        limits: Limits,
        plan: Arc<Plan>,
        bindings: Arc<Bindings>,
    ) -> Self {
        Self { plugins, permits, limits, plan, bindings, secrets: Arc::default(), sessions: Arc::default() }
    }

    async fn answer(self, request: Request) -> Answer {
        let observing = request.call.purpose == Purpose::Observe;
        let context = Arc::new(self.context(&request));
        let span =
            tracing::debug_span!("call", plugin = request.call.action.plugin(), dry_run = request.mode == Mode::DryRun);
        match self.call(&request, &context).instrument(span).await {
            Ok(Reply::Ran(done)) => Answer::Ran(Ok(done)),
            Ok(Reply::Observed(seen)) => Answer::Observed(Ok(seen)),
            Err(failure) => {
                let failure = scrubbed(failure, &self.secrets);
                if observing { Answer::Observed(Err(failure)) } else { Answer::Ran(Err(failure)) }
            }
        }
    }

    fn context(&self, request: &Request) -> CallContext {
        let call = NewCall {
            key: format!("{}/{}", request.run, request.call.step),
            grants: Grants::of(&request.call, &self.plan, &self.bindings, request.mode),
            bindings: self.bindings.clone(),
            secrets: self.secrets.clone(),
            deadline: request.deadline.clone(),
            cancel: request.cancel.clone(),
            notes: request.notes.clone(),
            fence: request.fence.clone(),
            sessions: self.sessions.clone(),
        };
        CallContext::new(call, &self.limits)
    }

    /// The surroundings in which targets are taken: those of no step.
    fn holding(&self, holder: &Holder) -> NewCall {
        NewCall {
            key: holder.run.to_string(),
            grants: Grants::default(),
            bindings: self.bindings.clone(),
            secrets: self.secrets.clone(),
            deadline: Deadline::fixed(None),
            cancel: CancellationToken::new(),
            notes: Arc::new(|_| {}),
            fence: Arc::new(Unfenced),
            sessions: self.sessions.clone(),
        }
    }

    async fn call(&self, request: &Request, context: &Arc<CallContext>) -> Result<Reply, Failure> {
        let name = &request.call.action;
        let unknown =
            || Failure::Permanent(Reason::new("host-action-unknown", format!("no loaded plugin has `{name}`")));
        let plugin = self.plugins.get(name.plugin()).ok_or_else(unknown)?;
        let action = plugin.actions.iter().find(|action| action.name == *name).ok_or_else(unknown)?;
        let permit = context.bounded(self.permits.acquire()).await.map_err(|cut| Failure::Transient(cut.reason()))?;
        tracing::trace!("a slot is free");
        let work = attempt(plugin, request, context, &action.outputs);
        let reply = tokio::select! {
            reply = work => reply,
            () = context.overdue() => Err(stopped(context.cut_off().unwrap_or(CutOff::Deadline), context)),
        };
        context.own.let_go().await;
        drop(permit);
        tracing::debug!(changed = context.has_changed(), uncertain = context.is_uncertain(), "the instance is gone");
        fenced(reply, context)
    }
}

impl Invoke for Bound {
    fn invoke(&self, request: Request) -> Pending<Answer> {
        Box::pin(self.clone().answer(request))
    }

    fn hold(&self, holder: Holder) -> Pending<Result<Vec<Reason>, Reason>> {
        let bound = self.clone();
        Box::pin(async move {
            let context = CallContext::new(bound.holding(&holder), &Limits { wall: HOLD_MAX, ..bound.limits });
            let held = bound.sessions.hold(&context, &fit::changed(&bound.plan), &holder).await;
            let clean = |reason| bound.secrets.scrub_reason(reason);
            held.map(|told| told.into_iter().map(clean).collect()).map_err(clean)
        })
    }

    fn let_go(&self) -> Pending<()> {
        let sessions = self.sessions.clone();
        Box::pin(async move { sessions.let_go().await })
    }
}

enum Reply {
    Ran(Done),
    Observed(Observation),
}

/// Instantiates, calls and drops: nothing of a call outlives it.
async fn attempt(
    plugin: &Loaded,
    request: &Request,
    context: &Arc<CallContext>,
    outputs: &[Field],
) -> Result<Reply, Failure> {
    let (mut store, instance) =
        plugin.instantiate(context.clone()).await.map_err(|error| broken(&error, false, plugin, context))?;
    let actions = instance.lifeboat_plugin_actions();
    let call = wire(request);
    if request.call.purpose == Purpose::Observe {
        let seen = actions.call_observe(&mut store, &call).await;
        let seen = returned(seen, &store, plugin, context)?;
        return answer::observation(seen, outputs).map(Reply::Observed);
    }
    let ran = actions.call_run(&mut store, &call).await;
    let ran = returned(ran, &store, plugin, context)?;
    answer::outcome(ran, outputs).map(Reply::Ran)
}

fn wire(request: &Request) -> wit::exports::lifeboat::plugin::actions::Call {
    let call = &request.call;
    types::Call {
        action: call.action.action().to_owned(),
        parameters: call.parameters.to_string(),
        run: request.run.to_string(),
        key: format!("{}/{}", request.run, call.step),
        attempt: call.attempt,
        deadline_ms: call.deadline.and_then(|at| u64::try_from(at.as_millisecond()).ok()),
        dry_run: request.mode == Mode::DryRun,
    }
}

/// What the guest returned, or why it returned nothing.
fn returned<T>(
    result: wasmtime::Result<Result<T, types::Failure>>,
    store: &Store<CallState>,
    plugin: &Loaded,
    context: &CallContext,
) -> Result<T, Failure> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(failure)) => Err(judged(answer::failure(failure), context)),
        Err(error) => Err(broken(&error, store.data().memory_refused, plugin, context)),
    }
}

/// A guest may take a change that was cut off for one that failed, or a refusal for something else; the host knows better.
fn judged(failure: Failure, context: &CallContext) -> Failure {
    if context.grants.was_held_back() {
        return Failure::Denied(Reason::new(HELD_BACK, failure.reason().message.clone()));
    }
    match failure {
        Failure::Transient(reason) | Failure::Permanent(reason) if context.is_uncertain() => {
            Failure::Interrupted(reason)
        }
        failure => failure,
    }
}

/// A call in which a change was refused for a lost lease has not done what it was for, whatever the guest says. That an earlier
/// change is of unknown fate weighs more.
fn fenced(reply: Result<Reply, Failure>, context: &CallContext) -> Result<Reply, Failure> {
    match (context.refused(), reply) {
        (None, reply) | (Some(_), reply @ Err(Failure::Interrupted(_))) => reply,
        (Some(lost), _) => Err(Failure::Denied(lost.clone())),
    }
}

/// Why a guest ended without an answer.
fn broken(error: &wasmtime::Error, memory_refused: bool, plugin: &Loaded, context: &CallContext) -> Failure {
    if let Some(Stopped(cut)) = error.downcast_ref() {
        return stopped(*cut, context);
    }
    let name = &plugin.name;
    if memory_refused || error.downcast_ref::<MemoryRefused>().is_some() {
        let message = format!("the plugin `{name}` needs more memory than a call may use");
        return Failure::Permanent(Reason::new("host-plugin-memory", message));
    }
    let cause = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => text::one_line(&error.root_cause().to_string(), CAUSE_BYTES_MAX),
    };
    let message = format!("the plugin `{name}` crashed: {cause}. This is a bug in the plugin");
    Failure::Permanent(Reason::new("host-plugin-trapped", message))
}

/// The call was ended from outside: harmless where nothing was changed yet.
fn stopped(cut: CutOff, context: &CallContext) -> Failure {
    let reason = cut.reason();
    if context.has_changed() { Failure::Interrupted(reason) } else { Failure::Transient(reason) }
}

fn scrubbed(failure: Failure, secrets: &Secrets) -> Failure {
    match failure {
        Failure::InvalidInput(reason) => Failure::InvalidInput(secrets.scrub_reason(reason)),
        Failure::Denied(reason) => Failure::Denied(secrets.scrub_reason(reason)),
        Failure::Transient(reason) => Failure::Transient(secrets.scrub_reason(reason)),
        Failure::Permanent(reason) => Failure::Permanent(secrets.scrub_reason(reason)),
        Failure::Interrupted(reason) => Failure::Interrupted(secrets.scrub_reason(reason)),
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::failure::FailureKind;

    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn a_call_cut_off_after_a_change_is_interrupted() {
        let context = Fixture::new(Bindings::default()).context(&[]);
        assert_eq!(stopped(CutOff::Deadline, &context).kind(), FailureKind::Transient);
        context.change().unwrap();
        assert_eq!(stopped(CutOff::Deadline, &context).kind(), FailureKind::Interrupted);
    }

    #[test]
    fn a_change_of_unknown_fate_is_no_plain_failure() {
        let context = Fixture::new(Bindings::default()).context(&[]);
        let failure = |kind: fn(Reason) -> Failure| kind(Reason::new("pg-connection", "lost"));
        assert_eq!(judged(failure(Failure::Transient), &context).kind(), FailureKind::Transient);
        context.note_uncertain();
        assert_eq!(judged(failure(Failure::Transient), &context).kind(), FailureKind::Interrupted);
        assert_eq!(judged(failure(Failure::Denied), &context).kind(), FailureKind::Denied);
    }

    #[test]
    fn what_a_lost_lease_refused_was_not_done_whatever_the_guest_says() {
        let fixture = Fixture::new(Bindings::default());
        let context = fixture.context(&[]);
        let done = || Ok(Reply::Ran(Done { outputs: serde_json::json!({}), summary: String::new() }));
        let failed = |kind: fn(Reason) -> Failure| Err(kind(Reason::new("pg-sql", "refused")));
        let code = |reply| fenced(reply, &context).err().map(|failure| (failure.kind(), failure.reason().code.clone()));
        assert_eq!(code(done()), None);
        fixture.fence.lose();
        assert_eq!(code(done()), None, "it has changed nothing since");
        let lost = Some((FailureKind::Denied, "run-lease-lost".to_owned()));
        context.change().unwrap_err();
        assert_eq!(code(done()), lost);
        assert_eq!(code(failed(Failure::Permanent)), lost);
        assert_eq!(code(failed(Failure::Interrupted)), Some((FailureKind::Interrupted, "pg-sql".to_owned())));
    }
}
