//! Calls for tests: a context with chosen grants over chosen bindings, without a guest.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use lifeboat_core::{
    action::Effect,
    bindings::{Binding, Bindings, System},
    event::Mode,
    failure::Reason,
    input::{Call, Purpose},
    name::{ActionName, RoleName, StepId},
    plan::{Plan, TargetDeclaration},
    sketch,
};
use lifeboat_runtime::invoke::{Deadline, Fence, Note};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    call::{CallContext, NewCall},
    capability::Sessions,
    grants::Grants,
    limits::Limits,
    secret::Secrets,
};

/// A role's name.
pub(crate) fn role(name: &str) -> RoleName {
    RoleName::new(name).unwrap()
}

/// Bindings that allow everything.
pub(crate) fn bindings<const N: usize>(systems: [(&str, System); N]) -> Bindings {
    let targets = systems
        .into_iter()
        .enumerate()
        .map(|(n, (name, system))| (role(name), Binding { access: Effect::Destroy, system, line: 10 + n as u32 }));
    let (digest, source) = ("sha256:0".to_owned(), "bindings.yaml".to_owned());
    Bindings { targets: targets.collect(), people: BTreeMap::new(), digest, source }
}

/// A plan without steps whose roles are those of the bindings, with this access.
pub(crate) fn plan(bindings: &Bindings, access: Effect) -> Plan {
    let declared = |binding: &Binding| TargetDeclaration { kind: binding.system.kind(), access };
    let targets = bindings.targets.iter().map(|(role, binding)| (role.clone(), declared(binding))).collect();
    Plan { targets, ..sketch::plan(Vec::new()) }
}

/// A call of an action with these grants.
pub(crate) fn call(action: &str, parameters: serde_json::Value, grants: &[(&str, Effect)]) -> Call {
    Call {
        step: StepId::new("step").unwrap(),
        attempt: 1,
        purpose: Purpose::Run,
        action: ActionName::new(action).unwrap(),
        parameters,
        grants: grants.iter().map(|(name, effect)| (role(name), *effect)).collect(),
        deadline: None,
    }
}

/// A fence that stands open until it is closed.
#[derive(Default)]
pub(crate) struct Breakable(AtomicBool);

impl Breakable {
    /// From now on the lease is lost.
    pub(crate) fn lose(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Fence for Breakable {
    fn check(&self) -> Result<(), Reason> {
        if self.0.load(Ordering::Relaxed) { Err(Reason::new("run-lease-lost", "taken over")) } else { Ok(()) }
    }
}

/// What a context is made of.
pub(crate) struct Fixture {
    pub(crate) bindings: Bindings,
    pub(crate) access: Effect,
    pub(crate) mode: Mode,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) cancel: CancellationToken,
    pub(crate) fence: Arc<Breakable>,
    pub(crate) sessions: Arc<Sessions>,
}

impl Fixture {
    pub(crate) fn new(bindings: Bindings) -> Self {
        let cancel = CancellationToken::new();
        let (fence, sessions) = Default::default();
        Self { bindings, access: Effect::Destroy, mode: Mode::Real, deadline: None, cancel, fence, sessions }
    }

    /// A context whose call has these grants.
    pub(crate) fn context(&self, grants: &[(&str, Effect)]) -> CallContext {
        self.noted(grants).0
    }

    /// As [`Fixture::context`], with what the call says.
    pub(crate) fn noted(&self, grants: &[(&str, Effect)]) -> (CallContext, Arc<Mutex<Vec<Note>>>) {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let sink = notes.clone();
        let plan = plan(&self.bindings, self.access);
        let call = call("test/test", json!({}), grants);
        let new = NewCall {
            key: "run/step".to_owned(),
            grants: Grants::of(&call, &plan, &self.bindings, self.mode),
            bindings: Arc::new(self.bindings.clone()),
            secrets: Arc::new(Secrets::default()),
            deadline: Deadline::fixed(self.deadline),
            cancel: self.cancel.clone(),
            notes: Arc::new(move |note| sink.lock().unwrap().push(note)),
            fence: self.fence.clone(),
            sessions: self.sessions.clone(),
        };
        let limits = Limits { wall: Duration::from_secs(60), ..Limits::default() };
        (CallContext::new(new, &limits), notes)
    }
}
