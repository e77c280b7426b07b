//! The host as the engine sees it: load the plugins, tell what they can do, bind a plan to real systems.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, thread, time::Duration};

use lifeboat_core::{
    action::{Action, Catalogue},
    bindings::Bindings,
    plan::{Invocation, Plan, StepKind},
};
use lifeboat_runtime::invoke::{Deadline, Invoke, Unfenced};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    cache::Cache,
    call::{CallContext, NewCall},
    component::{self, Loaded},
    error::HostError,
    grants::Grants,
    invoke::Bound,
    limits::Limits,
    wasm,
};

/// How long a plugin may take to describe itself.
const DESCRIBE_MAX: Duration = Duration::from_secs(5);

/// What a host is made of.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// Folder for compiled code; made where it is missing. Only Lifeboat may write it.
    pub cache: PathBuf,
    /// The plugins.
    pub plugins: Vec<Component>,
    /// What a call may use at most.
    pub limits: Limits,
}

/// A plugin as bytes.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its name, the first half of its actions' names.
    pub name: String,
    /// A WebAssembly component.
    pub bytes: Vec<u8>,
}

/// What is known of a loaded plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginInfo {
    /// Its name.
    pub name: String,
    /// `sha256:…` of the component.
    pub digest: String,
    /// The capabilities it imports, which is all that it can do.
    pub imports: Vec<String>,
    /// Its actions.
    pub actions: Vec<Action>,
}

/// Loaded plugins.
#[derive(Clone)]
pub struct Host {
    plugins: Arc<BTreeMap<String, Loaded>>,
    /// Actions that a decorator between the engine and this host serves.
    in_front: Catalogue,
    permits: Arc<Semaphore>,
    limits: Limits,
}

impl Host {
    /// Compiles (or takes from the cache) and describes every plugin. Blocks for that time; may be called anywhere, inside
    /// an async runtime too.
    ///
    /// # Errors
    /// The first plugin that cannot be loaded, or surroundings that do not work.
    pub fn new(options: HostOptions) -> Result<Self, HostError> {
        // A thread of its own, because a runtime cannot be started inside another one.
        thread::scope(|scope| scope.spawn(|| load_all(options)).join())
            .unwrap_or_else(|_| Err(HostError::Engine("loading the plugins panicked".to_owned())))
    }

    /// The same host where these actions are served in front of it, by an [`Invoke`] around those that [`Host::bind`] makes: they are in
    /// the catalogue, and a plan that uses them can be bound. A call of one that comes through all the same fails.
    #[must_use]
    pub fn behind(mut self, actions: impl IntoIterator<Item = Action>) -> Self {
        self.in_front = Catalogue::new(actions);
        self
    }

    /// Every action of every plugin, and those that are served in front of them.
    pub fn catalogue(&self) -> Catalogue {
        let of_plugins = self.plugins.values().flat_map(|plugin| plugin.actions.clone());
        Catalogue::new(of_plugins.chain(self.in_front.iter().cloned()))
    }

    /// The plugins, by name.
    pub fn plugins(&self) -> Vec<PluginInfo> {
        self.plugins
            .values()
            .map(|plugin| PluginInfo {
                name: plugin.name.clone(),
                digest: plugin.digest.clone(),
                imports: plugin.imports.clone(),
                actions: plugin.actions.clone(),
            })
            .collect()
    }

    /// Ties a plan to real systems. The result runs the calls of runs of that plan.
    ///
    /// # Errors
    /// The plan uses an action that no plugin has.
    pub fn bind(&self, plan: &Plan, bindings: Bindings) -> Result<Arc<dyn Invoke>, HostError> {
        let in_front = |invocation: &&Invocation| self.in_front.get(&invocation.action).is_some();
        for invocation in invocations(plan).filter(|invocation| !in_front(invocation)) {
            let known = self
                .plugins
                .get(invocation.action.plugin())
                .is_some_and(|plugin| plugin.actions.iter().any(|action| action.name == invocation.action));
            if !known {
                return Err(HostError::ActionUnknown { action: invocation.action.to_string() });
            }
        }
        Ok(Arc::new(Bound::new(
            self.plugins.clone(),
            self.permits.clone(),
            self.limits,
            Arc::new(plan.clone()),
            Arc::new(bindings),
        )))
    }
}

fn invocations(plan: &Plan) -> impl Iterator<Item = &Invocation> {
    plan.steps.iter().flat_map(|step| {
        let own = match &step.kind {
            StepKind::Uses(invocation) => Some(invocation),
            StepKind::Manual { verify, .. } => verify.as_ref(),
            StepKind::Approve { .. } => None,
        };
        own.into_iter().chain(&step.undo)
    })
}

fn load_all(options: HostOptions) -> Result<Host, HostError> {
    let limits = options.limits;
    let engine = wasm::start(&limits)?;
    let cache = Cache::open(&options.cache)?;
    let linker = component::linker(&engine)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| HostError::Engine(error.to_string()))?;
    let mut plugins = BTreeMap::new();
    for Component { name, bytes } in options.plugins {
        let context = describing(&limits);
        let loaded = runtime.block_on(component::load(&name, &bytes, &linker, &cache, limits, context))?;
        if plugins.insert(name.clone(), loaded).is_some() {
            return Err(HostError::DuplicatePlugin { plugin: name });
        }
    }
    let permits = Arc::new(Semaphore::new(limits.concurrent_calls as usize));
    Ok(Host { plugins: Arc::new(plugins), in_front: Catalogue::default(), permits, limits })
}

/// The surroundings of `describe`: no grant, no system, no listener.
fn describing(limits: &Limits) -> Arc<CallContext> {
    let call = NewCall {
        key: "describe".to_owned(),
        grants: Grants::default(),
        bindings: Arc::default(),
        secrets: Arc::default(),
        deadline: Deadline::fixed(None),
        cancel: CancellationToken::new(),
        notes: Arc::new(|_| {}),
        fence: Arc::new(Unfenced),
        sessions: Arc::default(),
    };
    Arc::new(CallContext::new(call, &Limits { wall: DESCRIBE_MAX, ..*limits }))
}
