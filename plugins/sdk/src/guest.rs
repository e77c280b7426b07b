//! The capabilities inside a component: every method is one call of the host.

use std::panic;

use crate::bindings::lifeboat::runtime::runtime::{Level, log};

/// The host, as a component sees it. Outside of WebAssembly its methods panic.
#[derive(Debug, Clone, Copy)]
pub struct Guest;

/// Writes the message of a panic into the run's log: the trap that follows says only `unreachable`.
pub fn report_panics() {
    panic::set_hook(Box::new(|info| log(Level::Error, &format!("the plugin panicked: {info}"), &[])));
}
