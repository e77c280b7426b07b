//! The state that all connections of a proxy share: the setting and the counters.

use std::sync::{Arc, atomic::AtomicU64};

use tokio::sync::watch;

use super::rule::Rule;

/// The setting of all connections. Each reads the newest one, and is woken when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) upstream: Arc<str>,
    pub(super) rules: Arc<[Rule]>,
}

/// Waits for the next setting. The sender lives as long as the proxy, and all of this is aborted with the proxy.
pub(super) async fn changed(setting: &mut watch::Receiver<Setting>) {
    if setting.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The counters behind a proxy's statistics.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) to_server_bytes: AtomicU64,
    pub(super) to_client_bytes: AtomicU64,
}
