//! The host of the plugins: loads components, gives them exactly the capabilities they import, and enforces limits, grants
//! and deadlines. Nothing else in the engine knows wasm, and no credential ever leaves this crate towards a guest.

mod answer;
mod cache;
mod call;
mod capability;
mod component;
pub mod confine;
mod description;
mod error;
#[cfg(test)]
mod fixture;
mod grants;
mod host;
mod invoke;
mod limits;
mod secret;
mod wasm;
mod wit;

pub use error::HostError;
pub use host::{Component, Host, HostOptions, PluginInfo};
pub use limits::Limits;
