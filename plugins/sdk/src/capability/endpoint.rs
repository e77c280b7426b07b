//! Where the application's traffic goes.

pub use crate::bindings::lifeboat::endpoint::endpoint::Error;

/// Reads and switches the endpoint behind a role.
pub trait Endpoint {
    /// `host:port` of the server that the application reaches now.
    fn current(&self, role: &str) -> Result<String, Error>;
    /// Sends the application's traffic to `address` (`host:port`).
    fn switch(&self, role: &str, address: &str) -> Result<(), Error>;
}
