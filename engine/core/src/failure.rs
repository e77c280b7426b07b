//! Why an attempt failed. Retry policy depends on the variant, so a failure is never a bare string.

use serde::{Deserialize, Serialize};

/// The code of the failure of a call that a dry-run, and nothing else, kept from doing its work.
pub const HELD_BACK: &str = "host-dry-run";

/// What went wrong, in a form that programs (the code) and people (the message) can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A stable code such as `pg-no-primary-key`; `lifeboat explain CODE` has a page for each.
    pub code: String,
    /// What happened and what would help, in one or two sentences.
    pub message: String,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Failure {
    /// The parameters cannot work; trying again changes nothing.
    InvalidInput(Reason),
    /// A guard refused: grant, effect, identity, lease, allow-list.
    Denied(Reason),
    /// It may work the next time: connection lost, server starting, lock not available, time-out.
    Transient(Reason),
    /// It will not work the next time either.
    Permanent(Reason),
    /// The attempt was cut off, and it is unknown how far it came.
    Interrupted(Reason),
}

impl FailureKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Transient, Self::Interrupted, Self::Permanent, Self::Denied, Self::InvalidInput];

    /// The word for it in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Denied => "denied",
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The variant alone, as a runbook names it in `retry: { on: [transient] }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// See [`Failure::InvalidInput`].
    InvalidInput,
    /// See [`Failure::Denied`].
    Denied,
    /// See [`Failure::Transient`].
    Transient,
    /// See [`Failure::Permanent`].
    Permanent,
    /// See [`Failure::Interrupted`].
    Interrupted,
}

impl Failure {
    /// The variant alone.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::InvalidInput(_) => FailureKind::InvalidInput,
            Self::Denied(_) => FailureKind::Denied,
            Self::Transient(_) => FailureKind::Transient,
            Self::Permanent(_) => FailureKind::Permanent,
            Self::Interrupted(_) => FailureKind::Interrupted,
        }
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
}

impl Reason {
    /// A reason from its two parts.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}
