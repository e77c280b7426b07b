//! The `postgres` capability: connections by role, statements, transactions, and streams from server to server. Addresses
//! and credentials stay on this side.

mod connect;
mod connection;
mod copy;
mod guard;
mod identifier;
pub(crate) mod lease;
mod lexer;
mod value;

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

#[expect(unreachable_pub, reason = "the generated bindings re-export it from public modules of a private one")]
pub use connection::Connection;

use lifeboat_core::{action::Effect, failure::Reason};
use wasmtime::component::Resource;

use crate::{
    call::CallState,
    wit::lifeboat::postgres::postgres::{self as wit, Error},
};

/// Connections that one call may hold at a time.
const CONNECTIONS_MAX: usize = 32;

impl From<Reason> for crate::wit::lifeboat::plugin::types::Reason {
    fn from(reason: Reason) -> Self {
        Self { code: reason.code, message: reason.message }
    }
}

fn invalid(code: &str, message: impl Into<String>) -> Error {
    Error::Invalid(Reason::new(code, message).into())
}

fn denied(reason: Reason) -> Error {
    Error::Denied(reason.into())
}

impl CallState {
    fn keep(&mut self, connection: Connection) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        if self.connections >= CONNECTIONS_MAX {
            return Ok(Err(invalid(
                "pg-connections",
                format!("a call may hold {CONNECTIONS_MAX} connections at a time"),
            )));
        }
        self.connections += 1;
        Ok(Ok(self.table.push(connection)?))
    }

    /// Errors as the guest may see them: without secrets.
    fn outward<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| match error {
            Error::Denied(reason) => Error::Denied(self.clean(reason)),
            Error::Connection(reason) => Error::Connection(self.clean(reason)),
            Error::Invalid(reason) => Error::Invalid(self.clean(reason)),
            Error::Sql(error) => Error::Sql(wit::SqlError {
                state: error.state,
                message: self.context.secrets.scrub(error.message),
                detail: error.detail.map(|text| self.context.secrets.scrub(text)),
                hint: error.hint.map(|text| self.context.secrets.scrub(text)),
            }),
        })
    }

    fn clean(&self, reason: wit::Reason) -> wit::Reason {
        wit::Reason { code: reason.code, message: self.context.secrets.scrub(reason.message) }
    }
}

impl wit::Host for CallState {
    async fn open(&mut self, role: String) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        match connect::role(&self.context, &role).await {
            Ok(connection) => self.keep(connection),
            Err(error) => Ok(self.outward(Err(error))),
        }
    }

    async fn open_instance(
        &mut self,
        machine: String,
        port: u16,
        login_as: String,
        socket: Option<String>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        match connect::instance(&self.context, &machine, port, &login_as, socket.as_deref()).await {
            Ok(connection) => self.keep(connection),
            Err(error) => Ok(self.outward(Err(error))),
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
        let copied = copy::between(&self.context, source, &query, destination, &table, &columns).await;
        Ok(self.outward(copied))
    }
}

impl wit::HostConnection for CallState {
    async fn query(
        &mut self,
        connection: Resource<Connection>,
        sql: String,
        parameters: Vec<wit::Value>,
    ) -> wasmtime::Result<Result<wit::Rows, Error>> {
        let rows = self.table.get(&connection)?.query(&self.context, &sql, &parameters).await;
        Ok(self.outward(rows))
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        sql: String,
        parameters: Vec<wit::Value>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let touched = self.table.get(&connection)?.execute(&self.context, &sql, &parameters).await;
        Ok(self.outward(touched))
    }

    async fn begin(
        &mut self,
        connection: Resource<Connection>,
        isolation: wit::Isolation,
    ) -> wasmtime::Result<Result<(), Error>> {
        let begun = self.table.get(&connection)?.begin(&self.context, isolation).await;
        Ok(self.outward(begun))
    }

    async fn commit(&mut self, connection: Resource<Connection>) -> wasmtime::Result<Result<(), Error>> {
        let committed = self.table.get(&connection)?.commit(&self.context).await;
        Ok(self.outward(committed))
    }

    async fn rollback(&mut self, connection: Resource<Connection>) -> wasmtime::Result<Result<(), Error>> {
        let rolled_back = self.table.get(&connection)?.rollback(&self.context).await;
        Ok(self.outward(rolled_back))
    }

    async fn beside(
        &mut self,
        connection: Resource<Connection>,
        database: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        match connect::beside(&self.context, self.table.get(&connection)?, &database).await {
            Ok(connection) => self.keep(connection),
            Err(error) => Ok(self.outward(Err(error))),
        }
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.connections = self.connections.saturating_sub(1);
        self.table.delete(connection)?;
        Ok(())
    }
}

/// Whether a connection with this effect may only read.
fn read_only(effect: Effect) -> bool {
    effect == Effect::Read
}
