//! Why the host could not be set up. Failures of calls are `lifeboat_core::failure::Failure`.

use std::path::PathBuf;

/// A plugin that cannot be loaded, or surroundings that do not work.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The WebAssembly engine could not be made.
    #[error("the WebAssembly engine cannot start on this machine: {0}")]
    Engine(String),
    /// The bytes are not a component, or a component that lacks an export of every plugin.
    #[error("plugin `{plugin}` is not a Lifeboat plugin: {problem}")]
    NotAPlugin {
        /// Its name.
        plugin: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The component imports something that Lifeboat does not offer.
    #[error("plugin `{plugin}` imports `{import}`, which is not a capability of Lifeboat")]
    ImportUnknown {
        /// Its name.
        plugin: String,
        /// What it imports.
        import: String,
    },
    /// What the plugin says about its actions does not hold together.
    #[error("plugin `{plugin}` has an invalid description: {problem}")]
    Description {
        /// Its name.
        plugin: String,
        /// What is wrong.
        problem: String,
    },
    /// Two plugins have the same name.
    #[error("two plugins have the name `{plugin}`")]
    DuplicatePlugin {
        /// Their name.
        plugin: String,
    },
    /// The plan uses an action that no loaded plugin has.
    #[error("no loaded plugin has the action `{action}`")]
    ActionUnknown {
        /// The action.
        action: String,
    },
    /// The folder for compiled code cannot be used.
    #[error("cannot use the cache folder {path}: {problem}", path = path.display())]
    Cache {
        /// The folder or file.
        path: PathBuf,
        /// What went wrong.
        problem: String,
    },
}

impl HostError {
    /// Stable code; `lifeboat explain CODE` prints its page.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Engine(_) => "host-engine",
            Self::NotAPlugin { .. } => "host-not-a-plugin",
            Self::ImportUnknown { .. } => "host-import-unknown",
            Self::Description { .. } | Self::DuplicatePlugin { .. } => "host-plugin-description",
            Self::ActionUnknown { .. } => "host-action-unknown",
            Self::Cache { .. } => "host-cache",
        }
    }
}
