//! What an engine needs to continue a run: the plugins, tied to the systems that the run was started with.

use std::sync::Arc;

use lifeboat_core::{bindings::Bindings, diagnostic::SourceFile, name::RunId};
use lifeboat_host::{Host, HostError};
use lifeboat_runtime::{
    home::{Home, Loaded},
    invoke::Invoke,
};

use crate::{Bound, Wrong, removal, source};

/// The bindings that the run was started with.
///
/// # Errors
/// They cannot be read any more.
pub fn bindings(home: &Home, run: &RunId, loaded: &Loaded) -> Result<Bindings, Wrong> {
    let file = SourceFile {
        name: home.run_folder(run).join("bindings.yaml").display().to_string(),
        text: String::from_utf8_lossy(&loaded.bindings_source).into_owned(),
    };
    Ok(Bound::of(source::check_bindings(file))?.bindings)
}

/// The plugins that run the calls of a run with these bindings.
///
/// # Errors
/// The plan uses an action that no plugin of the host has.
pub fn invoke(host: &Host, loaded: &Loaded, bindings: Bindings) -> Result<Arc<dyn Invoke>, HostError> {
    Ok(removal::as_owner(host.bind(&loaded.plan, bindings)?, &loaded.run))
}
