//! What an engine needs that goes on with a run: the plugins, bound to the systems that the run was started with.

use std::sync::Arc;

use lifeboat_core::{
    bindings,
    diagnostic::{self, SourceFile},
    name::RunId,
};
use lifeboat_runtime::{
    home::{Home, Loaded},
    invoke::Invoke,
};

use crate::{copies, engine, output::note};

/// The plugins; `None` where the run's bindings cannot be read, which has been shown then.
pub(crate) fn invoke(home: &Home, run: &RunId, loaded: &Loaded) -> anyhow::Result<Option<Arc<dyn Invoke>>> {
    let file = SourceFile {
        name: home.run_folder(run).join("bindings.yaml").display().to_string(),
        text: String::from_utf8_lossy(&loaded.bindings_source).into_owned(),
    };
    let parsed = bindings::parse(&file);
    let Some(bindings) = parsed.bindings else {
        note(diagnostic::render(&file, &parsed.diagnostics, true));
        return Ok(None);
    };
    Ok(Some(copies::as_owner(engine::host(home)?.bind(&loaded.plan, bindings)?, &loaded.run)))
}
