//! How far a test lets the plugin go.

use std::{cell::Cell, rc::Rc};

use crate::{Effect, Reason};

/// The strongest effect that is allowed; everything, unless a test says otherwise. Clones share it.
#[derive(Debug, Clone)]
pub struct Grant(Rc<Cell<Effect>>);

impl Default for Grant {
    fn default() -> Self {
        Self(Rc::new(Cell::new(Effect::Destroy)))
    }
}

impl Grant {
    /// Allows effects up to this one.
    pub fn set(&self, effect: Effect) {
        self.0.set(effect);
    }

    /// The refusal of the host, where `needed` is above what is allowed.
    pub(crate) fn check(&self, needed: Effect, what: &str) -> Result<(), Reason> {
        if needed <= self.0.get() {
            return Ok(());
        }
        Err(Reason::new("host-refused-effect", format!("{what} needs {needed:?}, {:?} is granted", self.0.get())))
    }
}
