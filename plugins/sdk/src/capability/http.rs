//! Messages to the address behind a role. The host knows the address and adds the secret.

pub(crate) mod fake;

use super::declare::capability;
pub use crate::bindings::lifeboat::http::http::{Error, Format, Response};
use crate::failure::Failure;

capability! {
    /// Posts to channels.
    http: trait Http {
        /// Which format the channel takes.
        fn channel(&self, role: &str) -> Result<Format, Error>;
        /// POSTs a JSON document. `id` is the idempotency key: a receiver drops what it has seen.
        fn post(&self, role: &str, id: &str, body: &str) -> Result<Response, Error>;
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
