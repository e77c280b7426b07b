//! What all systems have in common.

use std::{fmt::Debug, net::SocketAddr, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use lifeboat_present::drill::SystemInfo;
use serde_json::Value;
use tokio_postgres::Config;

use super::{Notification, WorkEntry};
use crate::{
    clock::{At, Clock},
    proxy::Proxy,
    store::Endpoint,
    testbed::{backup::BackupInfo, error::TestbedError, server::Server, shelf::Shelf},
};

/// The route to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The observer's: directly, as a superuser, so that no network fault can affect it.
    Observer,
    /// The application's.
    Application,
    /// The application's, through a switch that listens at this address.
    Through(SocketAddr),
}

/// A system of a testbed. When dropped, it ends what it serves in this process; the ground ends programs and containers.
#[async_trait]
pub trait System: Debug + Send + Sync {
    /// What it is.
    fn info(&self) -> SystemInfo;

    /// The target by which a runbook reaches it; `None` if no runbook does.
    fn binding(&self) -> Option<Value> {
        None
    }

    /// The path of an application or an observer to its records; `None` if it stores none.
    fn endpoint(&self, _door: Door) -> Option<Arc<dyn Endpoint>> {
        None
    }

    /// Waits until its state is as safe as before a recovery, for example archived, and returns when that was. `Ok(None)`: it has no
    /// such protection.
    ///
    /// # Errors
    /// Why it is not, or why that is not known.
    async fn protected(&self, _clock: &Clock) -> Result<Option<At>, String> {
        Ok(None)
    }

    /// What runs left in it. `runs`: the runs whose names are searched for.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn inventory(&self, _runs: &[&str]) -> Result<Vec<WorkEntry>, TestbedError> {
        Ok(Vec::new())
    }

    /// Takes a base backup of its server; `None` if it does not take backups.
    ///
    /// # Errors
    /// If it fails.
    async fn back_up(&self, _label: &str) -> Option<Result<BackupInfo, TestbedError>> {
        None
    }

    /// The notifications that it received, the oldest first.
    fn notifications(&self) -> Vec<Notification> {
        Vec::new()
    }

    /// The server that it is, for faults.
    fn server(&self) -> Option<&Server> {
        None
    }

    /// The folder in which it keeps credentials for their users, by role.
    fn credentials(&self) -> Option<PathBuf> {
        None
    }

    /// The base backups that it keeps, for faults.
    fn backups(&self) -> Option<Shelf> {
        None
    }

    /// The login for that route, if it is a PostgreSQL server.
    fn login(&self, _door: Door) -> Option<Config> {
        None
    }

    /// Its proxy, if it directs traffic.
    fn switch(&self) -> Option<&Proxy> {
        None
    }
}
