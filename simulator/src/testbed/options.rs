//! What a testbed is asked to be, and whether this machine can be it.

use std::{collections::BTreeMap, path::PathBuf};

pub use lifeboat_present::drill::Backend;
use tokio_util::sync::CancellationToken;

use super::{binaries, docker, error::TestbedError, place, spec::SystemSpec};

/// How a testbed is built.
#[derive(Debug, Clone)]
pub struct TestbedOptions {
    /// What the systems run in.
    pub backend: Backend,
    /// Leave everything standing at the end, for a person to look at.
    pub keep: bool,
    /// What stands in it, by name.
    pub systems: BTreeMap<String, SystemSpec>,
    /// Size of a WAL segment in MiB, a power of two; none: PostgreSQL's own.
    pub wal_segment_mib: Option<u16>,
    /// PostgreSQL's major version; none: the newest that there is.
    pub postgres_major: Option<u16>,
    /// The testbed makes its folder in here; none: the machine's folder for temporary files. The user that runs
    /// PostgreSQL must be able to enter it.
    pub folder: Option<PathBuf>,
    /// Fires when the start should be given up: it ends with [`super::TestbedError::Stopped`] as soon as it can without
    /// leaving anything behind.
    pub stop: CancellationToken,
}

impl TestbedOptions {
    /// Whether to go on. Asked between the steps of a start: a step that is cut off, such as a container that is being made or
    /// a server that is being forked, could appear after everything has been cleared.
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

/// Why a backend cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unavailable {
    /// What is missing, and what to do about it.
    pub reason: String,
}

/// Whether a testbed of this backend can be started on this machine. It looks and changes nothing; a container image
/// that is not there yet is no obstacle where it can be pulled or built.
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

/// Whether a testbed of this backend can be started on this machine with what is here, so that nothing has to be fetched.
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
