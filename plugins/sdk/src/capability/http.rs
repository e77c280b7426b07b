//! Messages to the address behind a role. The host knows the address and adds the secret.

pub use crate::bindings::lifeboat::http::http::{Error, Format, Response};

/// Posts to channels.
pub trait Http {
    /// Which format the channel takes.
    fn channel(&self, role: &str) -> Result<Format, Error>;
    /// POSTs a JSON document. `id` is the idempotency key: a receiver drops what it has seen.
    fn post(&self, role: &str, id: &str, body: &str) -> Result<Response, Error>;
}
