//! Why a call failed. The variant decides whether it is tried again, so every error of a capability has its place here.

use std::fmt;

pub use crate::bindings::lifeboat::plugin::types::{Failure, Reason};

impl Reason {
    /// A stable code such as `pg-no-primary-key`, and a sentence or two for people.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

impl Failure {
    /// The parameters cannot work.
    pub fn invalid_input(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidInput(Reason::new(code, message))
    }

    /// A guard refused.
    pub fn denied(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Denied(Reason::new(code, message))
    }

    /// It may work the next time.
    pub fn transient(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Transient(Reason::new(code, message))
    }

    /// It will not work the next time either.
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Permanent(Reason::new(code, message))
    }

    /// Cut off; nobody knows how far it came.
    pub fn interrupted(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Interrupted(Reason::new(code, message))
    }

    /// Code and message.
    pub fn reason(&self) -> &Reason {
        match self {
            Self::InvalidInput(reason)
            | Self::Denied(reason)
            | Self::Transient(reason)
            | Self::Permanent(reason)
            | Self::Interrupted(reason) => reason,
        }
    }

    /// The code alone.
    pub fn code(&self) -> &str {
        &self.reason().code
    }

    /// The same failure with `what` in front of its message: what the plugin was doing.
    #[must_use]
    pub fn while_doing(mut self, what: impl fmt::Display) -> Self {
        let (Self::InvalidInput(reason)
        | Self::Denied(reason)
        | Self::Transient(reason)
        | Self::Permanent(reason)
        | Self::Interrupted(reason)) = &mut self;
        reason.message = format!("{what}: {}", reason.message);
        self
    }
}
