//! What all connections of a proxy share: what they obey, and what they count.

use std::sync::{Arc, atomic::AtomicU64};

use tokio::sync::watch;

use super::rule::Rule;

/// What connections obey. Each looks at the newest one, and is woken when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) upstream: Arc<str>,
    pub(super) rules: Arc<[Rule]>,
}

/// Waits for the next setting. The sender lives as long as the proxy, and with the proxy all of this is aborted.
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
