//! How a plugin declares its actions.

pub use crate::bindings::lifeboat::plugin::types::{Action, Effect, Field};

impl Action {
    /// An action without parameters and outputs. `effect` is the strongest effect that it has on any target.
    pub fn new(name: &str, effect: Effect, doc: &str) -> Self {
        Self {
            name: name.to_owned(),
            doc: doc.to_owned(),
            parameters: Vec::new(),
            outputs: Vec::new(),
            effect,
            idempotent: false,
            observable: false,
        }
    }

    /// Adds a parameter that must be given. `ty` is a type of the runbook language: `string`, `target<postgres:read>`.
    #[must_use]
    pub fn parameter(mut self, name: &str, ty: &str, doc: &str) -> Self {
        self.parameters.push(field(name, ty, doc, true));
        self
    }

    /// Adds a parameter that may be left out.
    #[must_use]
    pub fn optional(mut self, name: &str, ty: &str, doc: &str) -> Self {
        self.parameters.push(field(name, ty, doc, false));
        self
    }

    /// Adds an output that is always there.
    #[must_use]
    pub fn output(mut self, name: &str, ty: &str, doc: &str) -> Self {
        self.outputs.push(field(name, ty, doc, true));
        self
    }

    /// Adds an output that may be missing.
    #[must_use]
    pub fn maybe_output(mut self, name: &str, ty: &str, doc: &str) -> Self {
        self.outputs.push(field(name, ty, doc, false));
        self
    }

    /// Says that running the action twice with the same key does what running it once does.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Says that [`crate::Plugin::observe`] can tell whether an interrupted attempt took effect.
    #[must_use]
    pub fn observable(mut self) -> Self {
        self.observable = true;
        self
    }
}

fn field(name: &str, ty: &str, doc: &str, required: bool) -> Field {
    Field { name: name.to_owned(), doc: doc.to_owned(), type_: ty.to_owned(), required }
}
