//! What every system has in common.

use std::{fmt::Debug, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use lifeboat_present::drill::SystemInfo;
use serde_json::Value;
use tokio_postgres::Config;

use super::{Notification, WorkEntry};
use crate::{
    clock::{At, Clock},
    proxy::Proxy,
    store::Endpoint,
    testbed::{backup::BackupInfo, error::TestbedError, server::Server},
};

/// By which way a store is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The observer's: directly, as a superuser, beside everything that a fault of the network can do.
    Observer,
    /// The application's.
    Application,
    /// The application's, by way of a switch that listens there.
    Through(SocketAddr),
}

/// Something that stands in a testbed. Dropped, it ends what it serves in this process; programs and containers are the ground's.
#[async_trait]
pub trait System: Debug + Send + Sync {
    /// What it is.
    fn info(&self) -> SystemInfo;

    /// The target by which a runbook reaches it; `None` where no runbook does.
    fn binding(&self) -> Option<Value> {
        None
    }

    /// How an application or an observer reaches what it keeps; `None` where it keeps nothing.
    fn endpoint(&self, _door: Door) -> Option<Arc<dyn Endpoint>> {
        None
    }

    /// Whether its state is as safe as before a recovery, such as in an archive, is waited for; since when. `Ok(None)`: it has no such
    /// thing.
    ///
    /// # Errors
    /// Why it is not, or why nobody knows.
    async fn protected(&self, _clock: &Clock) -> Result<Option<At>, String> {
        Ok(None)
    }

    /// What runs have left in it. `runs`: those whose names are looked for.
    ///
    /// # Errors
    /// Where it cannot be read.
    async fn inventory(&self, _runs: &[&str]) -> Result<Vec<WorkEntry>, TestbedError> {
        Ok(Vec::new())
    }

    /// Takes a base backup of what it stands for; `None` where it takes none.
    ///
    /// # Errors
    /// Where it fails.
    async fn back_up(&self, _label: &str) -> Option<Result<BackupInfo, TestbedError>> {
        None
    }

    /// What people were told by way of it, the oldest first.
    fn notifications(&self) -> Vec<Notification> {
        Vec::new()
    }

    /// The server that it is, for faults.
    fn server(&self) -> Option<&Server> {
        None
    }

    /// The login of that door, where it is a PostgreSQL server.
    fn login(&self, _door: Door) -> Option<Config> {
        None
    }

    /// The proxy that it is, where it directs traffic.
    fn switch(&self) -> Option<&Proxy> {
        None
    }
}
