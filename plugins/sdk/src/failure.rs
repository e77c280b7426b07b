//! Why a call failed. The variant decides whether it is tried again, so every error of a capability has its place here.

use std::fmt;

pub use crate::bindings::lifeboat::plugin::types::{Failure, Reason};
use crate::capability::{endpoint, http, machine, postgres};

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

// The code of a statement that PostgreSQL refused.
const SQL_CODE: &str = "pg-sql";
// The code of a login that PostgreSQL refused: SQLSTATE class 28.
const LOGIN_CODE: &str = "pg-login";
// The code of a machine without space.
const NO_SPACE_CODE: &str = "machine-no-space";
// The code of a file or folder that is not there.
const NOT_FOUND_CODE: &str = "machine-not-found";
// The code of a program or file operation that took too long.
const TIMED_OUT_CODE: &str = "machine-timed-out";

impl From<postgres::Error> for Failure {
    /// A lost connection is transient here. Only the plugin knows whether a COMMIT was in flight: then it says
    /// [`Failure::Interrupted`] itself.
    fn from(error: postgres::Error) -> Self {
        match error {
            postgres::Error::Denied(reason) => Self::Denied(reason),
            postgres::Error::Connection(reason) => Self::Transient(reason),
            postgres::Error::Sql(error) if error.is_transient() => Self::transient(SQL_CODE, error.describe()),
            postgres::Error::Sql(error) if error.state.starts_with("28") => {
                Self::permanent(LOGIN_CODE, error.describe())
            }
            postgres::Error::Sql(error) => Self::permanent(SQL_CODE, error.describe()),
            postgres::Error::Invalid(reason) => Self::Permanent(reason),
        }
    }
}

impl From<machine::Error> for Failure {
    /// Time-outs are interruptions: the program was ended, and how far it came is unknown.
    fn from(error: machine::Error) -> Self {
        match error {
            machine::Error::Denied(reason) => Self::Denied(reason),
            machine::Error::Unreachable(reason) => Self::Transient(reason),
            machine::Error::NotFound(what) => Self::permanent(NOT_FOUND_CODE, format!("not found: {what}")),
            machine::Error::NoSpace(what) => Self::permanent(NO_SPACE_CODE, format!("no space left: {what}")),
            machine::Error::TimedOut(what) => Self::interrupted(TIMED_OUT_CODE, format!("timed out: {what}")),
            machine::Error::Failed(reason) => Self::Permanent(reason),
        }
    }
}

impl From<http::Error> for Failure {
    fn from(error: http::Error) -> Self {
        match error {
            http::Error::Denied(reason) => Self::Denied(reason),
            http::Error::Connection(reason) => Self::Transient(reason),
            http::Error::Invalid(reason) => Self::Permanent(reason),
        }
    }
}

impl From<endpoint::Error> for Failure {
    fn from(error: endpoint::Error) -> Self {
        match error {
            endpoint::Error::Denied(reason) => Self::Denied(reason),
            endpoint::Error::Connection(reason) => Self::Transient(reason),
            endpoint::Error::Invalid(reason) => Self::Permanent(reason),
        }
    }
}
