//! Why a disaster could not be made.

use crate::store::{ConnectError, StoreError};

/// A disaster that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// What it acts on could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
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
