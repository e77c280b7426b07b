//! An open connection: statements and transactions within the call's grant, deadline and cancellation.

use std::{
    error::Error as _,
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::TryStreamExt;
use lifeboat_core::{action::Effect, failure::Reason};
use tokio::task::JoinHandle;
use tokio_postgres::{CancelToken, Client, Config, NoTls, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::Instrument;

use super::{
    denied, guard, invalid, read_only, spans,
    value::{self, Parameter, Raw},
};
use crate::{
    call::CallContext,
    wit::lifeboat::postgres::postgres::{Column, Error, Isolation, Rows, SqlError, Value},
};

const ROWS_MAX: usize = 100_000;
const BYTES_MAX: usize = 64 << 20;
/// How long the request to cancel a statement may take.
const CANCEL_MAX: Duration = Duration::from_secs(2);

/// How a connection is encrypted; needed again to cancel.
#[derive(Clone)]
pub(super) enum Encryption {
    Plain,
    Tls(Arc<MakeRustlsConnect>),
}

/// A connection that a guest holds.
#[expect(unreachable_pub, reason = "the generated bindings re-export it from public modules of a private one")]
pub struct Connection {
    client: Client,
    link: JoinHandle<Option<tokio_postgres::Error>>,
    encryption: Encryption,
    effect: Effect,
    role: String,
    in_transaction: AtomicBool,
    /// A statement of the open transaction failed: COMMIT would quietly roll back.
    transaction_failed: AtomicBool,
    in_flight: AtomicBool,
    /// How another database of the same server is reached; none where the binding names the only one.
    beside: Option<Config>,
}

/// What a cut-off or a lost connection leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtStake {
    /// Nothing: it only reads, or its transaction is rolled back.
    Nothing,
    /// It may have taken effect.
    Change,
}

impl Connection {
    pub(super) fn new(
        client: Client,
        link: JoinHandle<Option<tokio_postgres::Error>>,
        encryption: Encryption,
        effect: Effect,
        role: &str,
    ) -> Self {
        Self {
            client,
            link,
            encryption,
            effect,
            role: role.to_owned(),
            in_transaction: AtomicBool::new(false),
            transaction_failed: AtomicBool::new(false),
            in_flight: AtomicBool::new(false),
            beside: None,
        }
    }

    /// A connection from which other databases of its server may be reached, in the same way.
    pub(super) fn with_databases(mut self, config: Config) -> Self {
        self.beside = Some(config);
        self
    }

    pub(super) fn beside(&self) -> Option<&Config> {
        self.beside.as_ref()
    }

    pub(super) fn effect(&self) -> Effect {
        self.effect
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn role(&self) -> &str {
        &self.role
    }

    /// What a change on this connection has at stake now.
    pub(super) fn at_stake(&self) -> AtStake {
        if self.in_transaction.load(Ordering::Relaxed) { AtStake::Nothing } else { AtStake::Change }
    }

    pub(super) async fn query(&self, context: &CallContext, sql: &str, parameters: &[Value]) -> Result<Rows, Error> {
        let reading = guard::reading(sql);
        if read_only(self.effect) {
            if let Err(reason) = reading {
                context.grants.note_refusal(&self.role, Effect::Mutate);
                return Err(denied(reason));
            }
            return self.reading(context, self.rows(sql, parameters)).await;
        }
        guard::changing(sql).map_err(denied)?;
        let stake = match reading {
            Err(_) => self.changing(context).await?,
            Ok(()) => match context.has_leases() {
                Ok(()) => AtStake::Nothing,
                Err(lost) => return self.only_reading(context, lost, self.rows(sql, parameters)).await,
            },
        };
        self.guarded(context, stake, self.rows(sql, parameters)).await
    }

    /// Runs a statement that begins like one that reads, for a run that has lost its lease: functions and parts of it may
    /// change something, and only a read-only transaction shows that they do not.
    async fn only_reading<T>(
        &self,
        context: &CallContext,
        lost: Reason,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if self.in_transaction.load(Ordering::Relaxed) {
            return Err(denied(context.refuse(lost)));
        }
        match self.reading(context, work).await {
            Err(Error::Sql(error)) if error.state == SqlState::READ_ONLY_SQL_TRANSACTION.code() => {
                Err(denied(context.refuse(lost)))
            }
            result => result,
        }
    }

    pub(super) async fn execute(&self, context: &CallContext, sql: &str, parameters: &[Value]) -> Result<u64, Error> {
        context.grants.check(&self.role, Effect::Mutate).map_err(denied)?;
        guard::changing(sql).map_err(denied)?;
        let stake = self.changing(context).await?;
        let touched = async {
            let statement = self.client.prepare(sql).await.map_err(|error| failed(&error, &self.role))?;
            fits(statement.params().len(), parameters)?;
            let parameters = parameters.iter().map(Parameter);
            self.client.execute_raw(&statement, parameters).await.map_err(|error| failed(&error, &self.role))
        };
        self.guarded(context, stake, touched.instrument(spans::statement(&self.role, sql))).await
    }

    pub(super) async fn begin(&self, context: &CallContext, isolation: Isolation) -> Result<(), Error> {
        if self.in_transaction.load(Ordering::Relaxed) {
            return Err(invalid("pg-transaction", "a transaction is already open on this connection"));
        }
        let isolation = match isolation {
            Isolation::ReadCommitted => "READ COMMITTED",
            Isolation::RepeatableRead => "REPEATABLE READ",
            Isolation::Serializable => "SERIALIZABLE",
        };
        let access = if read_only(self.effect) { "READ ONLY" } else { "READ WRITE" };
        self.command(context, AtStake::Nothing, &format!("BEGIN ISOLATION LEVEL {isolation} {access}")).await?;
        self.transaction_failed.store(false, Ordering::Relaxed);
        self.in_transaction.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(super) async fn commit(&self, context: &CallContext) -> Result<(), Error> {
        if !self.in_transaction.load(Ordering::Relaxed) {
            return Err(invalid("pg-transaction", "no transaction is open on this connection"));
        }
        if self.transaction_failed.load(Ordering::Relaxed) {
            self.rollback(context).await?;
            return Err(Error::Sql(SqlError {
                state: SqlState::IN_FAILED_SQL_TRANSACTION.code().to_owned(),
                message: "a statement of the transaction failed, so it was rolled back and not committed".to_owned(),
                detail: None,
                hint: None,
            }));
        }
        let stake = if read_only(self.effect) { AtStake::Nothing } else { AtStake::Change };
        if stake == AtStake::Change {
            let held = match context.has_leases() {
                Ok(()) => context.sessions.postgres.on_server(context, &self.role).await,
                Err(lost) => Err(denied(context.refuse(lost))),
            };
            if let Err(lost) = held {
                self.rollback(context).await?;
                return Err(lost);
            }
        }
        let committed = self.command(context, stake, "COMMIT").await;
        self.in_transaction.store(false, Ordering::Relaxed);
        committed
    }

    pub(super) async fn rollback(&self, context: &CallContext) -> Result<(), Error> {
        if !self.in_transaction.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        self.command(context, AtStake::Nothing, "ROLLBACK").await
    }

    /// `system_identifier` of the server's control file.
    pub(super) async fn system_identifier(&self, context: &CallContext) -> Result<String, Error> {
        let sql = "SELECT system_identifier::text FROM pg_control_system()";
        let rows = self.guarded(context, AtStake::Nothing, self.rows(sql, &[])).await?;
        match rows.rows.into_iter().flatten().next() {
            Some(Value::Text(identifier)) => Ok(identifier),
            _ => Err(invalid("host-identity-mismatch", "the server does not return its system identifier")),
        }
    }

    /// Runs a statement of the host's own.
    pub(super) async fn command(&self, context: &CallContext, stake: AtStake, sql: &str) -> Result<(), Error> {
        let work = async { self.client.batch_execute(sql).await.map_err(|error| failed(&error, &self.role)) };
        self.guarded(context, stake, work.instrument(spans::statement(&self.role, sql))).await
    }

    /// Runs work in a read-only transaction: the open one, or one of its own.
    pub(super) async fn reading<T>(
        &self,
        context: &CallContext,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if self.in_transaction.load(Ordering::Relaxed) {
            return self.guarded(context, AtStake::Nothing, work).await;
        }
        self.command(context, AtStake::Nothing, "BEGIN READ ONLY").await?;
        let result = self.guarded(context, AtStake::Nothing, work).await;
        match self.command(context, AtStake::Nothing, "ROLLBACK").await {
            Err(error) if result.is_ok() => Err(error),
            _ => result,
        }
    }

    /// To be called before something is changed; what the statement has at stake.
    pub(super) async fn changing(&self, context: &CallContext) -> Result<AtStake, Error> {
        context.sessions.postgres.on_server(context, &self.role).await?;
        context.change().map_err(denied)?;
        Ok(self.at_stake())
    }

    /// Bounds the work by the call's deadline and cancellation. What is cut off is cancelled on the server too.
    pub(super) async fn guarded<T>(
        &self,
        context: &CallContext,
        stake: AtStake,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.in_flight.store(true, Ordering::Relaxed);
        let result = match context.bounded(work).await {
            Ok(result) => {
                self.in_flight.store(false, Ordering::Relaxed);
                result
            }
            Err(cut) => {
                cancel(self.client.cancel_token(), self.encryption.clone()).await;
                Err(Error::Connection(cut.reason().into()))
            }
        };
        match &result {
            Err(Error::Connection(_)) if stake == AtStake::Change => context.note_uncertain(),
            Err(_) => self.transaction_failed.store(true, Ordering::Relaxed),
            Ok(_) => {}
        }
        result
    }

    async fn rows(&self, sql: &str, parameters: &[Value]) -> Result<Rows, Error> {
        self.fetched(sql, parameters).instrument(spans::statement(&self.role, sql)).await
    }

    async fn fetched(&self, sql: &str, parameters: &[Value]) -> Result<Rows, Error> {
        let broken = |error: tokio_postgres::Error| failed(&error, &self.role);
        let statement = self.client.prepare(sql).await.map_err(broken)?;
        fits(statement.params().len(), parameters)?;
        let columns = statement.columns();
        if let Some(column) = columns.iter().find(|column| !value::is_supported(column.type_())) {
            let (name, ty) = (column.name(), column.type_().name());
            let message =
                format!("the column `{name}` has the type {ty}, which plugins cannot receive; cast it: `{name}::text`");
            return Err(invalid("pg-type", message));
        }
        let stream = self.client.query_raw(&statement, parameters.iter().map(Parameter)).await.map_err(broken)?;
        let mut stream = pin!(stream);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(row) = stream.try_next().await.map_err(broken)? {
            let mut values = Vec::with_capacity(columns.len());
            for (index, column) in columns.iter().enumerate() {
                let raw: Raw<'_> = row.try_get(index).map_err(broken)?;
                bytes += raw.len();
                values.push(raw.value(column.type_()).map_err(|error| {
                    invalid("pg-type", format!("cannot read the column `{}`: {error}", column.name()))
                })?);
            }
            rows.push(values);
            if rows.len() > ROWS_MAX || bytes > BYTES_MAX {
                let message = format!("a query may return at most {ROWS_MAX} rows and {} MiB", BYTES_MAX >> 20);
                return Err(invalid("pg-rows", message));
            }
        }
        let columns = columns
            .iter()
            .map(|column| Column { name: column.name().to_owned(), type_: column.type_().name().to_owned() })
            .collect();
        Ok(Rows { columns, rows })
    }
}

impl Drop for Connection {
    /// A statement still in flight (the call was dropped) must not keep running on the server.
    fn drop(&mut self) {
        if self.in_flight.load(Ordering::Relaxed)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (token, encryption, link) =
                (self.client.cancel_token(), self.encryption.clone(), self.link.abort_handle());
            runtime.spawn(async move {
                cancel(token, encryption).await;
                link.abort();
            });
        }
    }
}

/// Asks the server to end the statement in flight. Best effort by nature: the server gives no answer.
async fn cancel(token: CancelToken, encryption: Encryption) {
    let request = async {
        match encryption {
            Encryption::Plain => token.cancel_query(NoTls).await,
            Encryption::Tls(connector) => token.cancel_query(connector.as_ref().clone()).await,
        }
    };
    let _unanswered = tokio::time::timeout(CANCEL_MAX, request).await;
}

fn fits(expected: usize, given: &[Value]) -> Result<(), Error> {
    if expected == given.len() {
        return Ok(());
    }
    Err(invalid("pg-parameters", format!("the statement has {expected} parameters, but {} were given", given.len())))
}

/// Whether the server could not prove who it is, or does not encrypt at all: trying again does not help. A connection that
/// broke during the handshake is another matter; rustls wraps what it refuses in an I/O error of the kind `InvalidData`.
fn is_unproven(error: &tokio_postgres::Error) -> bool {
    let broke = |cause: &std::io::Error| cause.kind() != std::io::ErrorKind::InvalidData;
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    error.to_string().starts_with("error performing TLS handshake") && !cause.is_some_and(broke)
}

/// An error of the client library as a guest sees it.
pub(super) fn failed(error: &tokio_postgres::Error, role: &str) -> Error {
    let Some(refused) = error.as_db_error() else {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        let message = format!("the server behind `{role}`: {message}");
        if is_unproven(error) {
            return invalid("pg-tls", message);
        }
        let reason = Reason::new("pg-connection", message);
        let lost = error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>());
        let connecting = reason.message.contains("error connecting") || reason.message.contains("TLS");
        return if lost || connecting { Error::Connection(reason.into()) } else { Error::Invalid(reason.into()) };
    };
    let state = refused.code().code();
    if state.starts_with("57P0") || state.starts_with("08") || state == SqlState::TOO_MANY_CONNECTIONS.code() {
        let message = format!("the server behind `{role}`: {} (SQLSTATE {state})", refused.message());
        return Error::Connection(Reason::new("pg-connection", message).into());
    }
    Error::Sql(SqlError {
        state: state.to_owned(),
        message: refused.message().to_owned(),
        detail: refused.detail().map(str::to_owned),
        hint: refused.hint().map(str::to_owned),
    })
}
