//! The capabilities as traits, so that a plugin's logic runs against the host in a component and against fakes in tests.

pub mod endpoint;
pub mod http;
pub mod machine;
pub mod postgres;
pub mod runtime;
