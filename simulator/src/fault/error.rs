//! Why a fault could not be injected.

use crate::{
    store::{ConnectError, StoreError},
    testbed::TestbedError,
};

/// A fault that could not be injected.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The target of the fault could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Its parameters are wrong.
    #[error("the fault cannot be injected: {0}")]
    Parameters(#[from] serde_json::Error),
    /// Its kind is in no table.
    #[error("there is no fault `{0}`")]
    Unknown(String),
    /// The application's records are not in a PostgreSQL server.
    #[error("this fault needs a PostgreSQL server as the application's store")]
    NoServer,
    /// A system could not be stopped, started or reached.
    #[error(transparent)]
    Testbed(#[from] TestbedError),
    /// The fault had no effect: what was done does not show the damage that defines this kind.
    #[error("the fault `{kind}` has no effect: {seen}")]
    NoEffect {
        /// Its kind.
        kind: &'static str,
        /// What was seen instead.
        seen: String,
    },
    /// A system did not do what was requested.
    #[error("{what} failed: {source}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: StoreError,
    },
}

impl FaultError {
    /// An error of a system while trying that.
    pub(super) fn doing<E: Into<StoreError>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Refused { what, source: source.into() }
    }
}
