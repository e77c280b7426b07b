//! The writers: each follows its own fixed schedule, whatever the store does, so that a stall is visible.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::{JoinError, JoinSet},
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::generator::Generator;
use crate::{
    clock::{At, Clock},
    ledger::{Id, Invocation, Ledger, LedgerError, Planned, WriteId},
    store::{Answer, Client, Endpoint},
};

/// A write without an answer after this time is unknown, and its connection is abandoned.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// When the writers write.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Writes per second of all writers together.
    pub writes_per_second: u32,
}

/// The writers could not continue. A failing store does not stop them; a ledger that cannot be written does.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The ledger failed.
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
    /// Writes that the store acknowledged, as the writer saw it.
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
    /// Starts a writer for each generator, with a connection of its own.
    pub fn start(
        generators: Vec<Box<dyn Generator>>,
        schedule: Schedule,
        application: &Arc<dyn Endpoint>,
        ledger: &Arc<Ledger>,
        clock: Clock,
    ) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let begin = clock.now();
        let writers = i64::try_from(generators.len()).unwrap_or(i64::MAX);
        let between = 1_000_000 * writers / i64::from(schedule.writes_per_second.max(1));
        for (number, generator) in (0..).zip(generators) {
            let writer = Writer {
                number,
                application: Arc::clone(application),
                ledger: Arc::clone(ledger),
                clock,
                client: None,
                generator,
                report: WriterReport::default(),
            };
            let first = At(begin.0 + between * i64::from(number) / writers);
            tasks.spawn(writer.run(first, between, stop.clone()));
        }
        Self { tasks, stop }
    }

    /// Lets each writer end its write, and returns their totals.
    ///
    /// # Errors
    /// If the ledger could not be written, or a writer panicked.
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
    application: Arc<dyn Endpoint>,
    ledger: Arc<Ledger>,
    clock: Clock,
    client: Option<Box<dyn Client>>,
    generator: Box<dyn Generator>,
    report: WriterReport,
}

impl Writer {
    async fn run(mut self, first: At, between: i64, stop: CancellationToken) -> Result<WriterReport, LedgerError> {
        for slot in 0.. {
            let scheduled = At(first.0 + slot * between);
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
        let planned = self.generator.draw();
        if self.client.as_ref().is_none_or(|client| client.is_closed()) {
            self.client = self.application.connect(CONNECT_WITHIN).await.ok();
        }
        let invocation = self.ledger.invoke(self.number, scheduled, planned.operation, planned.changes.clone())?;
        let Some(client) = &mut self.client else {
            return self.ledger.failed(invocation, "not sent: there is no connection".to_owned());
        };
        match send(client.as_mut(), &planned, invocation.id).await {
            Answer::Done(id) => {
                self.ledger.ok(invocation, id.clone())?;
                self.report.acknowledged += 1;
                self.generator.acknowledged(&planned, id.as_ref());
            }
            Answer::Refused(reason) => self.ledger.failed(invocation, reason)?,
            Answer::Unknown(reason) => {
                self.client = None;
                self.generator.uncertain(&planned);
                self.ledger.unknown(invocation, reason)?;
            }
        }
        Ok(())
    }
}

async fn send(client: &mut dyn Client, planned: &Planned, write: WriteId) -> Answer {
    let answer = timeout(ANSWER_WITHIN, client.write(planned, write)).await;
    answer.unwrap_or_else(|_elapsed| Answer::Unknown(format!("no answer within {ANSWER_WITHIN:?}")))
}

/// A write that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The id of the write.
    pub write: WriteId,
    /// The key of the record, if the store made it.
    pub id: Option<Id>,
}

/// Sends one write through the ledger, outside any schedule. `None`: it was refused, or its result is unknown; the ledger says
/// which.
///
/// # Errors
/// If the ledger cannot be written.
pub async fn write_once(
    client: &mut dyn Client,
    ledger: &Ledger,
    clock: &Clock,
    writer: u32,
    planned: &Planned,
) -> Result<Option<Written>, LedgerError> {
    let invocation: Invocation = ledger.invoke(writer, clock.now(), planned.operation, planned.changes.clone())?;
    let write = invocation.id;
    match send(client, planned, write).await {
        Answer::Done(id) => {
            ledger.ok(invocation, id.clone())?;
            return Ok(Some(Written { write, id }));
        }
        Answer::Refused(reason) => ledger.failed(invocation, reason)?,
        Answer::Unknown(reason) => ledger.unknown(invocation, reason)?,
    }
    Ok(None)
}
