//! What commands that execute or check need: the state folder and the plugins.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use etcetera::BaseStrategy;
use lifeboat_core::{action::Catalogue, name::RunId};
use lifeboat_host::{Host, HostError};
use lifeboat_launch::{
    Ready, SourceError, plugins, resume,
    source::{self, Checked},
};
use lifeboat_runtime::{
    home::{Home, Loaded},
    invoke::Invoke,
};
use lifeboat_simulator::drill_step;

use crate::{arguments::Global, exit::Exit, findings::print_wrong, problem::Problem};

/// The state folder that the arguments, the environment or the platform name.
pub(crate) fn home(global: &Global) -> anyhow::Result<Home> {
    Ok(Home::open(home_path(global)?)?)
}

/// The state folder for commands that only read: nothing is made where none is.
pub(crate) fn home_to_read(global: &Global) -> anyhow::Result<Home> {
    Ok(Home::to_read(home_path(global)?))
}

fn home_path(global: &Global) -> Result<PathBuf, Problem> {
    if let Some(path) = &global.home {
        return Ok(path.clone());
    }
    let none = |error| {
        Problem::new(Exit::Failed, format!("cannot determine the state folder: {error}"))
            .hint("set it with `--home FOLDER` or `LIFEBOAT_HOME`")
    };
    let platform = etcetera::choose_base_strategy().map_err(none)?;
    Ok(platform.state_dir().unwrap_or_else(|| platform.data_dir()).join("lifeboat"))
}

/// The bundled plugins, compiled or taken from the cache in the state folder, behind the simulator, which holds drills.
pub(crate) fn host(home: &Home) -> anyhow::Result<Host> {
    Ok(drill_step::behind(plugins::host(home.cache())?))
}

/// The bundled plugins for commands that only look: nothing but the cache is made, and they work where no state can be kept.
pub(crate) fn host_to_look_at(global: &Global) -> anyhow::Result<Host> {
    match home_to_read(global).and_then(|home| host(&home)) {
        Err(_) if global.home.is_none() => {
            Ok(drill_step::behind(plugins::host(tempfile::tempdir()?.path().join("cache"))?))
        }
        host => host,
    }
}

/// Reads and checks a runbook, with the drills that it names.
pub(crate) fn runbook(path: &Path, catalogue: &Catalogue) -> Result<Checked, SourceError> {
    Ok(drill_step::check(source::runbook(path, catalogue)?, catalogue))
}

/// The plugins for a run that begins.
pub(crate) fn invoke(home: &Home, host: &Host, ready: &Ready) -> Result<Arc<dyn Invoke>, HostError> {
    Ok(drill_step::serve(ready.invoke(host)?, &ready.plan, ready.sources.path.clone(), home))
}

/// The plugins for a run that continues; `None` where its bindings cannot be read, which has been shown then.
pub(crate) fn invoke_of(home: &Home, run: &RunId, loaded: &Loaded) -> anyhow::Result<Option<Arc<dyn Invoke>>> {
    match resume::bindings(home, run, loaded) {
        Ok(bindings) => {
            let invoke = resume::invoke(&host(home)?, loaded, bindings)?;
            Ok(Some(drill_step::serve(invoke, &loaded.plan, home.runbook_path(run), home)))
        }
        Err(wrong) => {
            print_wrong(&wrong);
            Ok(None)
        }
    }
}
