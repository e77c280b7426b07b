//! The `postgres` capability: connections by role, statements, transactions, and streams from server to server. Addresses
//! and credentials stay on this side.

mod connect;
mod connection;
mod copy;
mod guard;
mod identifier;
mod lease;
mod lexer;
mod session;
mod spans;
mod value;

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

#[expect(unreachable_pub, reason = "the generated bindings re-export it from public modules of a private one")]
pub use connection::Connection;

pub(crate) use session::{Own, Session};

use std::sync::atomic::Ordering;

use lifeboat_core::{action::Effect, failure::Reason};
use wasmtime::component::Resource;

use super::Outward;
use crate::{
    call::CallState,
    secret::Secrets,
    wit::lifeboat::postgres::postgres::{self as wit, Error},
};

/// Connections that one call may hold at a time.
const CONNECTIONS_MAX: usize = 32;

fn invalid(code: &str, message: impl Into<String>) -> Error {
    Error::Invalid(Reason::new(code, message).into())
}

fn denied(reason: Reason) -> Error {
    Error::Denied(reason.into())
}

impl CallState {
    fn keep(&mut self, connection: Connection) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let held = &self.context.own.postgres.connections;
        if held.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
            return Ok(Err(invalid(
                "pg-connections",
                format!("a call may hold at most {CONNECTIONS_MAX} connections at a time"),
            )));
        }
        held.fetch_add(1, Ordering::Relaxed);
        Ok(Ok(self.table.push(connection)?))
    }
}

impl Outward for Error {
    fn scrubbed(self, secrets: &Secrets) -> Self {
        match self {
            Self::Denied(reason) => Self::Denied(reason.scrubbed(secrets)),
            Self::Connection(reason) => Self::Connection(reason.scrubbed(secrets)),
            Self::Invalid(reason) => Self::Invalid(reason.scrubbed(secrets)),
            Self::Sql(error) => Self::Sql(wit::SqlError {
                state: error.state,
                message: secrets.scrub(error.message),
                detail: error.detail.map(|text| secrets.scrub(text)),
                hint: error.hint.map(|text| secrets.scrub(text)),
            }),
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Denied(reason) | Self::Connection(reason) | Self::Invalid(reason) => reason.code(),
            Self::Sql(error) => &error.state,
        }
    }
}

impl wit::Host for CallState {
    async fn open(&mut self, role: String) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        match self.context.serve("postgres.open", connect::role(&self.context, &role)).await? {
            Ok(connection) => self.keep(connection),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn open_instance(
        &mut self,
        machine: String,
        port: u16,
        login_as: String,
        socket: Option<String>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        match self
            .context
            .serve(
                "postgres.open-instance",
                connect::instance(&self.context, &machine, port, &login_as, socket.as_deref()),
            )
            .await?
        {
            Ok(connection) => self.keep(connection),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn copy_between(
        &mut self,
        source: Resource<Connection>,
        query: String,
        destination: Resource<Connection>,
        table: String,
        columns: Vec<String>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let (source, destination) = (self.table.get(&source)?, self.table.get(&destination)?);
        self.context
            .serve("postgres.copy-between", copy::between(&self.context, source, &query, destination, &table, &columns))
            .await
    }
}

impl wit::HostConnection for CallState {
    async fn query(
        &mut self,
        connection: Resource<Connection>,
        sql: String,
        parameters: Vec<wit::Value>,
    ) -> wasmtime::Result<Result<wit::Rows, Error>> {
        self.context
            .serve("postgres.connection.query", self.table.get(&connection)?.query(&self.context, &sql, &parameters))
            .await
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        sql: String,
        parameters: Vec<wit::Value>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        self.context
            .serve(
                "postgres.connection.execute",
                self.table.get(&connection)?.execute(&self.context, &sql, &parameters),
            )
            .await
    }

    async fn begin(
        &mut self,
        connection: Resource<Connection>,
        isolation: wit::Isolation,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.context
            .serve("postgres.connection.begin", self.table.get(&connection)?.begin(&self.context, isolation))
            .await
    }

    async fn commit(&mut self, connection: Resource<Connection>) -> wasmtime::Result<Result<(), Error>> {
        self.context.serve("postgres.connection.commit", self.table.get(&connection)?.commit(&self.context)).await
    }

    async fn rollback(&mut self, connection: Resource<Connection>) -> wasmtime::Result<Result<(), Error>> {
        self.context.serve("postgres.connection.rollback", self.table.get(&connection)?.rollback(&self.context)).await
    }

    async fn beside(
        &mut self,
        connection: Resource<Connection>,
        database: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        match self
            .context
            .serve(
                "postgres.connection.beside",
                connect::beside(&self.context, self.table.get(&connection)?, &database),
            )
            .await?
        {
            Ok(connection) => self.keep(connection),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        self.context.own.postgres.connections.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Whether a connection with this effect may only read.
fn read_only(effect: Effect) -> bool {
    effect == Effect::Read
}
