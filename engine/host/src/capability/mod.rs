//! The capabilities: one module each, each the host side of one WIT package.

pub(crate) mod runtime;

impl crate::wit::lifeboat::plugin::types::Host for crate::call::CallState {}
