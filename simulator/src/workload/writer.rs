//! The writers: each follows its own fixed schedule, whatever the server does, so that a stall shows.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rand::{SeedableRng, rngs::ChaCha8Rng};
use tokio::{
    task::{JoinError, JoinSet},
    time::{sleep_until, timeout},
};
use tokio_postgres::{Client, Config, Error, Statement, types::ToSql};
use tokio_util::sync::CancellationToken;

use super::{
    connection::connect,
    content::{Origin, columns, names},
    habits::Habits,
    load::Size,
    partition::{Partition, Planned},
};
use crate::{
    clock::{At, Clock},
    ledger::{Invocation, Ledger, LedgerError, Operation, RowChange, RowState, Table, WriteId},
};

/// A write without an answer after so long is unknown, and its connection is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
const NO_ROW: &str = "there is no such row";

/// What the writers do.
#[derive(Debug, Clone, Copy)]
pub struct WorkloadPlan {
    /// What was loaded.
    pub size: Size,
    /// What the application does besides, to rows that the writers leave alone.
    pub habits: Habits,
    /// How many writers, each with its own connection.
    pub writers: u32,
    /// Writes a second in sum.
    pub writes_per_second: u32,
    /// The same seed draws the same writes.
    pub seed: u64,
}

/// The writers could not go on; a server that fails is no reason, a ledger that cannot be written is.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// Of the ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A writer panicked.
    #[error("a writer ended unexpectedly: {0}")]
    Writer(#[from] JoinError),
    /// The marker could not be written.
    #[error("the marker could not be written: {0}")]
    Marker(String),
}

/// What a writer did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriterReport {
    /// Writes that the server acknowledged, as the writer saw it.
    pub acknowledged: u64,
    /// The longest delay of a write behind its schedule, in microseconds.
    pub worst_delay: i64,
}

/// The running writers. Dropped, they end at once; stopped, each ends its write first.
#[derive(Debug)]
pub struct Workload {
    tasks: JoinSet<Result<WriterReport, LedgerError>>,
    stop: CancellationToken,
}

impl Workload {
    /// Starts the writers.
    pub fn start(plan: WorkloadPlan, application: &Config, ledger: &Arc<Ledger>, clock: Clock) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let begin = clock.now();
        for number in 0..plan.writers {
            let writer = Writer {
                number,
                plan,
                application: application.clone(),
                ledger: Arc::clone(ledger),
                clock,
                connection: None,
                partition: Partition::new(&plan.size, &plan.habits, number, plan.writers),
                rng: ChaCha8Rng::seed_from_u64(plan.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(number))),
                report: WriterReport::default(),
            };
            tasks.spawn(writer.run(begin, stop.clone()));
        }
        Self { tasks, stop }
    }

    /// Lets each writer end its write, and says what they did in sum.
    pub async fn stop(mut self) -> Result<WriterReport, WorkloadError> {
        self.stop.cancel();
        let mut sum = WriterReport::default();
        while let Some(ended) = self.tasks.join_next().await {
            let report = ended??;
            sum.acknowledged += report.acknowledged;
            sum.worst_delay = sum.worst_delay.max(report.worst_delay);
        }
        Ok(sum)
    }
}

struct Writer {
    number: u32,
    plan: WorkloadPlan,
    application: Config,
    ledger: Arc<Ledger>,
    clock: Clock,
    connection: Option<Connection>,
    partition: Partition,
    rng: ChaCha8Rng,
    report: WriterReport,
}

impl Writer {
    async fn run(mut self, begin: At, stop: CancellationToken) -> Result<WriterReport, LedgerError> {
        let between = 1_000_000 * i64::from(self.plan.writers) / i64::from(self.plan.writes_per_second.max(1));
        let offset = between * i64::from(self.number) / i64::from(self.plan.writers);
        for slot in 0.. {
            let scheduled = At(begin.0 + offset + slot * between);
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(self.clock.deadline(scheduled)) => {}
            }
            self.report.worst_delay = self.report.worst_delay.max(self.clock.now().0 - scheduled.0);
            self.write(scheduled).await?;
        }
        Ok(self.report)
    }

    async fn write(&mut self, scheduled: At) -> Result<(), LedgerError> {
        let planned = self.partition.draw(&mut self.rng);
        if self.connection.as_ref().is_none_or(|connection| connection.client.is_closed()) {
            self.connection = connect(&self.application, CONNECT_WITHIN).await.ok().map(Connection::new);
        }
        let invocation = self.ledger.invoke(self.number, scheduled, planned.operation, planned.rows.clone())?;
        let Some(connection) = &mut self.connection else {
            return self.ledger.failed(invocation, "not sent: there is no connection".to_owned());
        };
        match timeout(ANSWER_WITHIN, connection.send(&planned, &invocation)).await {
            Ok(Ok(Sent::Done(id))) => {
                self.ledger.ok(invocation, id)?;
                self.report.acknowledged += 1;
                self.partition.acknowledged(&planned, id);
                Ok(())
            }
            Ok(Ok(Sent::NoRow)) => self.ledger.failed(invocation, NO_ROW.to_owned()),
            Ok(Err(error)) if is_certain(&error) => self.ledger.failed(invocation, describe(&error)),
            Ok(Err(error)) => self.lose(&planned, invocation, describe(&error)),
            Err(_elapsed) => self.lose(&planned, invocation, no_answer()),
        }
    }

    fn lose(&mut self, planned: &Planned, invocation: Invocation, reason: String) -> Result<(), LedgerError> {
        self.connection = None;
        self.partition.uncertain(planned);
        self.ledger.unknown(invocation, reason)
    }
}

enum Sent {
    Done(Option<i64>),
    NoRow,
}

/// An error that the server sent for a statement of its own transaction says that nothing was done; one that ends the
/// connection (class 57, 08) may come after the commit.
fn is_certain(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| !["57", "08"].contains(&error.code().code().get(..2).unwrap_or_default()))
}

fn no_answer() -> String {
    format!("no answer within {ANSWER_WITHIN:?}")
}

fn describe(error: &Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |error| format!("{}: {}", error.code().code(), error.message()))
}

/// A connection with the statements that were prepared on it.
pub(super) struct Connection {
    client: Client,
    statements: HashMap<String, Statement>,
}

impl Connection {
    pub(super) fn new(client: Client) -> Self {
        Self { client, statements: HashMap::new() }
    }

    async fn send(&mut self, planned: &Planned, invocation: &Invocation) -> Result<Sent, Error> {
        let text = statement(planned);
        if !self.statements.contains_key(&text) {
            let prepared = self.client.prepare(&text).await?;
            self.statements.insert(text.clone(), prepared);
        }
        send(&self.client, &self.statements[&text], planned, invocation).await
    }
}

async fn send(
    client: &Client,
    statement: &Statement,
    planned: &Planned,
    invocation: &Invocation,
) -> Result<Sent, Error> {
    let write = i64::try_from(invocation.id).unwrap_or(i64::MAX);
    let [first, second, third] = columns(planned.table, Origin::Written(invocation.id));
    let id = planned.id.unwrap_or_default();
    let version = planned.rows.first().and_then(|row| row.after).map_or(0, |after| after.version);
    let content: [&(dyn ToSql + Sync); 3] = [&first, &second, &third];
    match planned.operation {
        Operation::Insert => {
            let mut parameters = content.to_vec();
            parameters.extend([&version as &(dyn ToSql + Sync), &write, &planned.parent]);
            if planned.id.is_some() {
                parameters.push(&id);
            }
            let row = client.query_one(statement, &parameters).await?;
            Ok(Sent::Done(Some(row.get(0))))
        }
        Operation::Update => {
            let mut parameters = content.to_vec();
            parameters.extend([&version as &(dyn ToSql + Sync), &write, &id]);
            Ok(found(client.execute(statement, &parameters).await?))
        }
        Operation::Delete => Ok(found(client.execute(statement, &[&id]).await?)),
    }
}

fn found(rows: u64) -> Sent {
    if rows == 0 { Sent::NoRow } else { Sent::Done(None) }
}

fn statement(planned: &Planned) -> String {
    let table = planned.table.name();
    let [(a, a_type), (b, b_type), (c, c_type)] = names(planned.table);
    match planned.operation {
        Operation::Insert => {
            let parent = planned.table.parent_column();
            let (id, value) = if planned.id.is_some() { (", id", ", $7") } else { ("", "") };
            format!(
                "INSERT INTO {table} ({a}, {b}, {c}, version, write_id, {parent}{id}) \
                 VALUES ($1::text::{a_type}, $2::text::{b_type}, $3::text::{c_type}, $4, $5, nullif($6, 0::int8){value}) \
                 RETURNING id"
            )
        }
        Operation::Update => format!(
            "UPDATE {table} SET {a} = $1::text::{a_type}, {b} = $2::text::{b_type}, {c} = $3::text::{c_type}, \
             version = $4, write_id = $5 WHERE id = $6"
        ),
        Operation::Delete => format!("DELETE FROM {table} WHERE id = $1"),
    }
}

/// A write that was acknowledged.
pub(super) struct Written {
    /// Of the write.
    pub(super) id: WriteId,
    /// Of the row, where the server gave it.
    pub(super) key: Option<i64>,
}

/// Sends one write through the ledger, outside of any schedule. `None`: it was refused, or nobody knows what became of it, as
/// the ledger says.
pub(super) async fn write_once(
    connection: &mut Connection,
    ledger: &Ledger,
    clock: &Clock,
    writer: u32,
    planned: &Planned,
) -> Result<Option<Written>, LedgerError> {
    let invocation = ledger.invoke(writer, clock.now(), planned.operation, planned.rows.clone())?;
    let id = invocation.id;
    match timeout(ANSWER_WITHIN, connection.send(planned, &invocation)).await {
        Ok(Ok(Sent::Done(key))) => {
            ledger.ok(invocation, key)?;
            return Ok(Some(Written { id, key }));
        }
        Ok(Ok(Sent::NoRow)) => ledger.failed(invocation, NO_ROW.to_owned())?,
        Ok(Err(error)) if is_certain(&error) => ledger.failed(invocation, describe(&error))?,
        Ok(Err(error)) => ledger.unknown(invocation, describe(&error))?,
        Err(_elapsed) => ledger.unknown(invocation, no_answer())?,
    }
    Ok(None)
}

/// Writes one order of a customer that will be damaged, after the base backup: only WAL replay can bring it back. It goes
/// through the ledger like any other write. Returns the order's key.
pub async fn write_marker(client: Client, ledger: &Ledger, clock: &Clock, customer: i64) -> Result<i64, WorkloadError> {
    let rows =
        vec![RowChange { table: Table::Orders, id: None, after: Some(RowState { version: 1, parent: customer }) }];
    let planned = Planned { operation: Operation::Insert, table: Table::Orders, id: None, parent: customer, rows };
    let written = write_once(&mut Connection::new(client), ledger, clock, u32::MAX, &planned).await?;
    let key = written.and_then(|written| written.key);
    key.ok_or_else(|| WorkloadError::Marker(format!("{} says why", ledger.path().display())))
}
