//! The options of a testbed, and whether this machine can run it.

use std::{collections::BTreeMap, path::PathBuf};

pub use lifeboat_present::drill::Backend;
use tokio_util::sync::CancellationToken;

use super::{
    binaries, docker,
    error::{TestbedError, Unavailable},
    place,
    spec::SystemSpec,
};

/// The options of a testbed.
#[derive(Debug, Clone)]
pub struct TestbedOptions {
    /// How the systems run.
    pub backend: Backend,
    /// Keep everything running at the end, so that a person can examine it.
    pub keep: bool,
    /// The systems, by name.
    pub systems: BTreeMap<String, SystemSpec>,
    /// Size of a WAL segment in MiB, a power of two; `None`: PostgreSQL's default.
    pub wal_segment_mib: Option<u16>,
    /// PostgreSQL's major version; `None`: the newest available one.
    pub postgres_major: Option<u16>,
    /// The folder in which the testbed makes its own; `None`: the machine's folder for temporary files. The user that runs
    /// PostgreSQL must be able to enter it.
    pub folder: Option<PathBuf>,
    /// Fires when the start should be abandoned: it ends with [`super::TestbedError::Stopped`] as soon as it can without leaving
    /// anything behind.
    pub stop: CancellationToken,
}

impl TestbedOptions {
    /// Whether to continue. Checked between the steps of a start: what an interrupted step makes, such as a container or a server
    /// process, could appear after everything has been cleared.
    pub(super) fn go_on(&self) -> Result<(), TestbedError> {
        if self.stop.is_cancelled() { Err(TestbedError::Stopped) } else { Ok(()) }
    }
}

impl Default for TestbedOptions {
    fn default() -> Self {
        Self {
            backend: Backend::Process,
            keep: false,
            systems: BTreeMap::new(),
            wal_segment_mib: None,
            postgres_major: None,
            folder: None,
            stop: CancellationToken::new(),
        }
    }
}

/// Whether a testbed of this backend can be started on this machine. It only looks and changes nothing; a missing container image
/// is no obstacle if it can be pulled or built.
///
/// # Errors
/// What is missing, so that a caller can skip loudly.
pub fn available(backend: Backend) -> Result<(), Unavailable> {
    match backend {
        Backend::Process => {
            place::account_of_servers()?;
            binaries::find(None).map(drop)
        }
        Backend::Container => docker::answers(),
    }
}

/// Whether a testbed of this backend can be started on this machine without fetching anything.
///
/// # Errors
/// What is missing, so that a caller can skip loudly.
pub fn at_hand(backend: Backend) -> Result<(), Unavailable> {
    available(backend)?;
    match backend {
        Backend::Process => Ok(()),
        Backend::Container => docker::has_image(),
    }
}
