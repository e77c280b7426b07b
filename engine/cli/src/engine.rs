//! What commands that execute or check need: the state folder and the plugins.

use std::{path::PathBuf, sync::Arc};

use etcetera::BaseStrategy;
use lifeboat_core::name::RunId;
use lifeboat_host::Host;
use lifeboat_launch::{plugins, resume};
use lifeboat_runtime::{
    home::{Home, Loaded},
    invoke::Invoke,
};

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

/// The bundled plugins, compiled or taken from the cache in the state folder.
pub(crate) fn host(home: &Home) -> anyhow::Result<Host> {
    Ok(plugins::host(home.cache())?)
}

/// The bundled plugins for commands that only look: nothing but the cache is made, and they work where no state can be kept.
pub(crate) fn host_to_look_at(global: &Global) -> anyhow::Result<Host> {
    match home_to_read(global).and_then(|home| host(&home)) {
        Err(_) if global.home.is_none() => Ok(plugins::host(tempfile::tempdir()?.path().join("cache"))?),
        host => host,
    }
}

/// The plugins for a run that continues; `None` where its bindings cannot be read, which has been shown then.
pub(crate) fn invoke_of(home: &Home, run: &RunId, loaded: &Loaded) -> anyhow::Result<Option<Arc<dyn Invoke>>> {
    match resume::bindings(home, run, loaded) {
        Ok(bindings) => Ok(Some(resume::invoke(&host(home)?, loaded, bindings)?)),
        Err(wrong) => {
            print_wrong(&wrong);
            Ok(None)
        }
    }
}
