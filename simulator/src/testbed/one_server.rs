//! The testbed of [`SystemSpec::one_server`], with names for its systems: for tests of a single action on a real server.

use std::{collections::BTreeMap, ops::Deref, path::PathBuf};

use tokio_postgres::Config;

use super::{
    backup::BackupInfo, error::TestbedError, lifecycle::Testbed, options::TestbedOptions, server::Server,
    spec::SystemSpec, system::Door,
};

const PRIMARY: &str = "primary";
const RECOVERY: &str = "recovery";

/// A server, a machine for its copies, and a webhook.
#[derive(Debug)]
pub struct OneServer {
    testbed: Testbed,
    application: Config,
    observer: Config,
    bindings: String,
}

impl OneServer {
    /// Builds them; a segment is archived after this many seconds at the latest.
    ///
    /// # Errors
    /// As [`Testbed::start`].
    pub async fn start(archive_seconds: u32, options: TestbedOptions) -> Result<Self, TestbedError> {
        let systems = SystemSpec::one_server(archive_seconds);
        let testbed = Testbed::start(TestbedOptions { systems, ..options }).await?;
        let login = |door| testbed.login(PRIMARY, door).ok_or_else(no_server);
        let (application, observer) = (login(Door::Application)?, login(Door::Observer)?);
        let bindings = testbed.bindings(&BTreeMap::new());
        Ok(Self { testbed, application, observer, bindings })
    }

    /// The application's path: through a fault proxy, as the role `app` that owns the database `app`.
    pub fn application(&self) -> Config {
        self.application.clone()
    }

    /// The observer's path: directly, as a superuser.
    pub fn observer(&self) -> Config {
        self.observer.clone()
    }

    /// Bindings with the roles `primary`, `recovery` and `oncall`.
    pub fn bindings(&self) -> String {
        self.bindings.clone()
    }

    /// Takes a base backup with a manifest.
    ///
    /// # Errors
    /// If `pg_basebackup` fails, or the label is not a plain name.
    pub async fn base_backup(&self, label: &str) -> Result<BackupInfo, TestbedError> {
        self.testbed.base_backups(label).await?.pop().ok_or_else(no_server)
    }

    /// The WAL archive, as seen by this process.
    pub fn archive_folder(&self) -> PathBuf {
        self.testbed.folder_of(PRIMARY, "archive")
    }

    /// The base backups, as seen by this process.
    pub fn backups_folder(&self) -> PathBuf {
        self.testbed.folder_of(RECOVERY, "backups")
    }

    /// The folder in which copies are restored, as seen by this process.
    pub fn work_folder(&self) -> PathBuf {
        self.testbed.folder_of(RECOVERY, "work")
    }

    /// Kills the server as `kill -9` of its postmaster does, and waits until none of its processes is left.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn kill_primary(&self) -> Result<(), TestbedError> {
        self.primary()?.kill().await
    }

    /// Starts the server again and waits until it serves.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start_primary(&self) -> Result<(), TestbedError> {
        self.primary()?.start().await
    }

    /// Stops the server normally (a fast shutdown).
    ///
    /// # Errors
    /// If it does not end in time.
    pub async fn stop_primary(&self) -> Result<(), TestbedError> {
        self.primary()?.stop().await
    }

    /// Tears everything down, unless it is kept.
    ///
    /// # Errors
    /// What remains.
    pub async fn stop(self) -> Result<(), TestbedError> {
        self.testbed.stop().await
    }

    fn primary(&self) -> Result<&Server, TestbedError> {
        self.testbed.server(PRIMARY).ok_or_else(no_server)
    }
}

impl Deref for OneServer {
    type Target = Testbed;

    fn deref(&self) -> &Testbed {
        &self.testbed
    }
}

fn no_server() -> TestbedError {
    TestbedError::System { name: PRIMARY.to_owned(), message: "it does not exist".to_owned() }
}
