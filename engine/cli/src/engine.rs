//! What commands that execute or check need: the state folder and the plugins.

use std::path::PathBuf;

use etcetera::BaseStrategy;
use lifeboat_host::{Component, Host, HostOptions, Limits};
use lifeboat_runtime::home::Home;

use crate::{arguments::Global, exit::Exit, problem::Problem};

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
        Problem::new(Exit::Failed, format!("no folder for Lifeboat's state is known: {error}"))
            .hint("give one with `--home FOLDER` or `LIFEBOAT_HOME`")
    };
    let platform = etcetera::choose_base_strategy().map_err(none)?;
    Ok(platform.state_dir().unwrap_or_else(|| platform.data_dir()).join("lifeboat"))
}

/// The bundled plugins, compiled or taken from the cache in the state folder.
pub(crate) fn host(home: &Home) -> anyhow::Result<Host> {
    load(home.cache())
}

/// The bundled plugins for commands that only look: nothing but the cache is made, and they work where no state can be kept.
pub(crate) fn host_to_look_at(global: &Global) -> anyhow::Result<Host> {
    match home_to_read(global).and_then(|home| host(&home)) {
        Err(_) if global.home.is_none() => load(tempfile::tempdir()?.path().join("cache")),
        host => host,
    }
}

fn load(cache: PathBuf) -> anyhow::Result<Host> {
    Ok(Host::new(HostOptions { cache, plugins: bundled(), limits: Limits::default() })?)
}

/// The plugins inside this binary.
fn bundled() -> Vec<Component> {
    let component = |(name, bytes): &(&str, &[u8])| Component { name: (*name).to_owned(), bytes: bytes.to_vec() };
    lifeboat_bundle::COMPONENTS.iter().map(component).collect()
}
