//! The plugins that ship, ready to be called.

use std::path::PathBuf;

use lifeboat_bundle::COMPONENTS;
use lifeboat_core::digest::sha256;
use lifeboat_host::{Component, Host, HostError, HostOptions, Limits};

/// The plugins that ship, compiled or taken from that folder, which is made where it is missing. Blocks for that time.
pub fn host(cache: PathBuf) -> Result<Host, HostError> {
    let component = |(name, bytes): &(&str, &[u8])| Component { name: (*name).to_owned(), bytes: bytes.to_vec() };
    let plugins = COMPONENTS.iter().map(component).collect();
    Host::new(HostOptions { cache, plugins, limits: Limits::default() })
}

/// The name and the digest of each plugin that ships, as a host and a report have them. Nothing is compiled for it.
pub fn digests() -> Vec<(String, String)> {
    COMPONENTS.iter().map(|(name, bytes)| ((*name).to_owned(), sha256(bytes))).collect()
}
