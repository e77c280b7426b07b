//! The capabilities: one module each, each the host side of one WIT package.

mod client;
mod endpoint;
mod group;
mod http;
pub(crate) mod machine;
pub(crate) mod postgres;
pub(crate) mod runtime;
mod tls;

impl crate::wit::lifeboat::plugin::types::Host for crate::call::CallState {}
