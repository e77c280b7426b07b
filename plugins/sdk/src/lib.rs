//! The SDK for Lifeboat plugins: sandboxed WebAssembly components whose actions runbooks use.
//!
//! A plugin is a type that implements [`Plugin`] for any `C` with the capabilities that it needs, and one call of
//! [`export!`]. Compiled to WebAssembly, `C` is [`guest::Guest`], which calls the host. In native tests it is
//! [`fake::Fake`], which holds every capability in memory. What the logic does not call is not imported, so the bounds on
//! `C` are what the component can do.

mod action;
#[doc(hidden)]
pub mod bindings;
mod call;
mod capability;
mod failure;
mod plugin;

pub mod fake;
pub mod guest;

pub use action::{Action, Effect, Field};
pub use call::{Call, Observation, Outcome};
pub use capability::*;
pub use failure::{Failure, Reason};
pub use plugin::Plugin;
