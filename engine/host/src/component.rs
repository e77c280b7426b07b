//! A loaded plugin: compiled, its imports checked, linked once. A call needs only a fresh instance of it.

use std::sync::Arc;

use lifeboat_core::{action::Action, digest::sha256, text};
use wasmtime::{
    Engine, Store, UpdateDeadline,
    component::{Component, HasSelf, Linker},
};

use crate::{
    cache::Cache,
    call::{CallContext, CallState, CutOff},
    capability::CAPABILITIES,
    description,
    error::HostError,
    limits::Limits,
    wit::{Plugin, PluginPre, lifeboat::plugin::types},
};

/// A plugin that is ready to be called.
pub(crate) struct Loaded {
    pub(crate) name: String,
    /// `sha256:…` of the component.
    pub(crate) digest: String,
    /// The capabilities that it imports: its sandbox.
    pub(crate) imports: Vec<String>,
    pub(crate) actions: Vec<Action>,
    pre: PluginPre<CallState>,
    limits: Limits,
}

/// The guest still computed after its call should have been over.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("stopped: {0:?}")]
pub(crate) struct Stopped(pub(crate) CutOff);

/// Links every capability; a component takes from the linker what it imports.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<CallState>, HostError> {
    let mut linker = Linker::new(engine);
    types::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)
        .and_then(|()| CAPABILITIES.iter().try_for_each(|capability| (capability.link)(&mut linker)))
        .map_err(|error| HostError::Engine(format!("{error:#}")))?;
    Ok(linker)
}

/// Loads a component and asks it what it can do.
pub(crate) async fn load(
    name: &str,
    bytes: &[u8],
    linker: &Linker<CallState>,
    cache: &Cache,
    limits: Limits,
    context: Arc<CallContext>,
) -> Result<Loaded, HostError> {
    let engine = linker.engine();
    let not_a_plugin =
        |error: wasmtime::Error| HostError::NotAPlugin { plugin: name.to_owned(), problem: format!("{error:#}") };
    let component = cache.load(engine, bytes).map_err(not_a_plugin)?;
    let imports = imports(name, &component, linker)?;
    let pre = linker.instantiate_pre(&component).and_then(PluginPre::new).map_err(not_a_plugin)?;
    let digest = sha256(bytes);
    let mut loaded = Loaded { name: name.to_owned(), digest, imports, actions: Vec::new(), pre, limits };
    loaded.actions = describe(&loaded, context).await?;
    tracing::debug!(plugin = name, digest = loaded.digest, actions = loaded.actions.len(), "loaded");
    Ok(loaded)
}

/// What every plugin imports besides its capabilities; it holds types only.
const TYPES: &str = "lifeboat:plugin/types@0.1.0";

/// The names of all imports, or the first that is not a capability.
fn imports(name: &str, component: &Component, linker: &Linker<CallState>) -> Result<Vec<String>, HostError> {
    let engine = linker.engine();
    let names: Vec<String> = component.component_type().imports(engine).map(|(import, _)| import.to_owned()).collect();
    let known = |import: &str| import == TYPES || CAPABILITIES.iter().any(|capability| capability.import == import);
    match names.iter().find(|import| !known(import)) {
        None => Ok(names),
        Some(unknown) => Err(HostError::ImportUnknown { plugin: name.to_owned(), import: unknown.clone() }),
    }
}

/// Of what is wrong with a description, which is in the plugin's own words.
const PROBLEM_BYTES_MAX: usize = 1024;

async fn describe(loaded: &Loaded, context: Arc<CallContext>) -> Result<Vec<Action>, HostError> {
    let wrong = |problem: String| {
        let problem = text::one_line(&problem, PROBLEM_BYTES_MAX);
        HostError::Description { plugin: loaded.name.clone(), problem }
    };
    let work = async {
        let (mut store, plugin) = loaded.instantiate(context.clone()).await?;
        plugin.lifeboat_plugin_actions().call_describe(&mut store).await
    };
    let described = tokio::select! {
        described = work => described.map_err(|error| wrong(format!("`describe` failed: {}", error.root_cause())))?,
        () = context.overdue() => return Err(wrong("`describe` does not end".to_owned())),
    };
    description::actions(&loaded.name, described).map_err(wrong)
}

impl Loaded {
    /// A fresh instance in a store of its own.
    pub(crate) async fn instantiate(&self, context: Arc<CallContext>) -> wasmtime::Result<(Store<CallState>, Plugin)> {
        let mut store = Store::new(self.pre.engine(), CallState::new(context, self.limits));
        store.limiter(|state| state);
        store.set_hostcall_fuel(self.limits.copied_bytes);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| tick(store.data_mut()));
        match self.pre.instantiate_async(&mut store).await {
            Ok(plugin) => Ok((store, plugin)),
            Err(error) if store.data().memory_refused => Err(error.context(MemoryRefused)),
            Err(error) => Err(error),
        }
    }
}

/// The guest needs more memory than it may have.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("it needs more memory than allowed")]
pub(crate) struct MemoryRefused;

/// Asked every few milliseconds of computing: continues, letting others run in between, until the grace after the end is over.
fn tick(state: &mut CallState) -> wasmtime::Result<UpdateDeadline> {
    let Some(cut) = state.context.cut_off() else { return Ok(UpdateDeadline::Yield(1)) };
    let now = tokio::time::Instant::now();
    let stop_at = *state.stop_at.get_or_insert(now + state.context.grace);
    if now >= stop_at { Err(Stopped(cut).into()) } else { Ok(UpdateDeadline::Yield(1)) }
}
