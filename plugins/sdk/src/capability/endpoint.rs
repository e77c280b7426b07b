//! Where the application's traffic goes.

pub(crate) mod fake;

use super::declare::capability;
pub use crate::bindings::lifeboat::endpoint::endpoint::Error;
use crate::failure::Failure;

capability! {
    /// Reads and switches the endpoint behind a role.
    endpoint: trait Endpoint {
        /// `host:port` of the server that the application reaches now.
        fn current(&self, role: &str) -> Result<String, Error>;
        /// Sends the application's traffic to `address` (`host:port`).
        fn switch(&self, role: &str, address: &str) -> Result<(), Error>;
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(reason) => Self::Denied(reason),
            Error::Connection(reason) => Self::Transient(reason),
            Error::Invalid(reason) => Self::Permanent(reason),
        }
    }
}
