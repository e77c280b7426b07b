//! The component boundary, generated from `wit/`. Private: the rest of the workspace speaks core types only.

use crate::{call::CallState, capability::capabilities};

macro_rules! bindings {
    ($($module:ident: $import:tt { $($resource:tt: $handle:ident)? };)+) => {
        wasmtime::component::bindgen!({
            path: "../../wit",
            world: "lifeboat:boundary/plugin",
            imports: { default: async | trappable },
            exports: { default: async },
            with: { $($($resource: crate::capability::$module::$handle,)?)+ },
        });
    };
}

capabilities!(bindings);

impl lifeboat::plugin::types::Host for CallState {}

impl From<lifeboat_core::failure::Reason> for lifeboat::plugin::types::Reason {
    fn from(reason: lifeboat_core::failure::Reason) -> Self {
        Self { code: reason.code, message: reason.message }
    }
}
