//! Why a disaster could not be made.

use crate::{
    store::{ConnectError, StoreError},
    testbed::TestbedError,
};

/// A disaster that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// What it acts on could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Its parameters are not what they should be.
    #[error("the fault cannot be injected: {0}")]
    Parameters(#[from] serde_json::Error),
    /// No table knows its kind.
    #[error("there is no fault `{0}`")]
    Unknown(String),
    /// The application's records are not in a PostgreSQL server.
    #[error("this fault needs a PostgreSQL server as the application's store")]
    NoServer,
    /// A system could not be stopped, started or reached.
    #[error(transparent)]
    Testbed(#[from] TestbedError),
    /// It does not show: what was done has not had the effect that makes it this fault.
    #[error("the fault `{kind}` has no effect: {seen}")]
    NoEffect {
        /// Its kind.
        kind: &'static str,
        /// What was seen instead.
        seen: String,
    },
    /// A system did not do what was asked of it.
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
