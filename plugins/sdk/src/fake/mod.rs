//! In-memory doubles of every capability, for native tests of a plugin's logic.
//!
//! [`Fake`] holds one of each and is what a test passes as `C`. Like the host, it refuses what is above the granted effect
//! ([`Fake::grant`]) and what was not set up: an unexpected program or statement is an error, not an empty answer.

mod delegate;
mod endpoint;
mod files;
mod grant;
mod http;
mod machine;
mod postgres;
mod runtime;

pub use endpoint::Endpoint;
pub use files::Files;
pub use grant::Grant;
pub use http::{Http, Post};
pub use machine::{Invocation, Machine, Process, ended};
pub use postgres::{Answer, Connection, Postgres, Statement, rows};
pub use runtime::{Line, Runtime};

use crate::{Effect, postgres::Value};

/// Every capability in memory.
#[derive(Default)]
pub struct Fake {
    /// Clock, log, cancellation.
    pub runtime: Runtime,
    /// Scripted servers.
    pub postgres: Postgres,
    /// Files and scripted programs.
    pub machine: Machine,
    /// Scripted channels.
    pub http: Http,
    /// Addresses by role.
    pub endpoint: Endpoint,
}

impl Fake {
    /// Refuses everything above `effect` from now on; `Effect::Read` is what a dry-run gets.
    pub fn grant(&self, effect: Effect) {
        for grant in [self.postgres.grant(), self.machine.grant(), self.http.grant(), self.endpoint.grant()] {
            grant.set(effect);
        }
    }
}

/// A row's values, from anything that a value can be made of: `values![1_i64, "a", None::<i64>]`.
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        Vec::<$crate::postgres::Value>::from([$($crate::postgres::Value::from($value)),*])
    };
}

/// Keeps the signature of [`rows`] readable.
type Values = Vec<Value>;
