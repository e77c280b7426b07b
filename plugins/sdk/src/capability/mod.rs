//! The capabilities as traits, so that a plugin's logic runs against the host in a component and against doubles in tests: a module
//! each, with its double in `fake`.

mod declare;

pub mod endpoint;
pub mod http;
pub mod machine;
pub mod postgres;
pub mod runtime;

/// The table of the capabilities: the module, its trait, and the trait of the handle that it gives out.
macro_rules! capabilities {
    ($consumer:ident) => {
        $consumer! {
            runtime: Runtime;
            postgres: Postgres, Connection;
            machine: Machine, Process;
            http: Http;
            endpoint: Endpoint;
        }
    };
}

macro_rules! traits {
    ($($module:ident: $($name:ident),+;)+) => {
        $(pub use $module::{$($name),+};)+
    };
}

capabilities!(traits);

pub(crate) use capabilities;
