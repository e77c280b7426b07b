//! The way out: what a function of a capability answers, as the guest may see it.

use crate::{secret::Secrets, wit::lifeboat::plugin::types::Reason};

/// An error of a capability.
pub(crate) trait Outward {
    /// The same without secrets.
    fn scrubbed(self, secrets: &Secrets) -> Self;
    /// What it is, without the words that are made of what it is about.
    fn code(&self) -> &str;
}

impl Outward for Reason {
    fn scrubbed(self, secrets: &Secrets) -> Self {
        Self { code: self.code, message: secrets.scrub(self.message) }
    }

    fn code(&self) -> &str {
        &self.code
    }
}
