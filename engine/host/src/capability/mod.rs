//! The capabilities: one module each, each the host side of one WIT package, and the table of them.

mod client;
mod endpoint;
mod http;
mod lifetimes;
pub(crate) mod machine;
mod outward;
pub(crate) mod postgres;
mod runtime;
mod tls;

/// The table of the capabilities: the module, the interface that a component imports, and the type behind a resource of it. A module has
/// a `Session` and an `Own` state.
macro_rules! capabilities {
    ($consumer:ident) => {
        $consumer! {
            runtime: "lifeboat:runtime/runtime@0.1.0" {};
            postgres: "lifeboat:postgres/postgres@0.1.0" { "lifeboat:postgres/postgres.connection": Connection };
            machine: "lifeboat:machine/machine@0.1.0" { "lifeboat:machine/machine.process": Process };
            http: "lifeboat:http/http@0.1.0" {};
            endpoint: "lifeboat:endpoint/endpoint@0.1.0" {};
        }
    };
}

pub(crate) use capabilities;
pub(crate) use lifetimes::{CAPABILITIES, OwnStates, Sessions};
pub(crate) use outward::Outward;
