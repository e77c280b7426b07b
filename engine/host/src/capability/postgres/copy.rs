//! Rows from server to server: `COPY … TO STDOUT` of one connection straight into `COPY … FROM STDIN` of another, in binary,
//! with one frame in hand at a time. A guest never sees the rows, so its memory does not bound how many there can be.

use std::{io::Cursor, mem, pin::pin, time::Duration};

use futures::{SinkExt, TryStreamExt};
use lifeboat_core::action::Effect;
use lifeboat_runtime::invoke::Note;
use tokio::time::Instant;
use tracing::Instrument;

use super::{
    connection::{AtStake, Connection, failed},
    denied, guard, identifier, invalid, read_only,
};
use crate::{call::CallContext, wit::lifeboat::postgres::postgres::Error};

const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// A server sends a message for each row and takes them in any pieces: handed over one by one, a row's way through the
/// queues costs more than the row.
const FRAME_BYTES: usize = 64 << 10;

/// Copies the rows of a query into a table; returns how many.
pub(super) async fn between(
    context: &CallContext,
    source: &Connection,
    query: &str,
    destination: &Connection,
    table: &str,
    columns: &[String],
) -> Result<u64, Error> {
    context.grants.check(destination.role(), Effect::Mutate).map_err(denied)?;
    guard::reading(query).and_then(|()| guard::enclosed(query)).map_err(denied)?;
    let named = |problem| invalid("pg-name", problem);
    let table = identifier::table(table).map_err(named)?;
    let columns: Vec<_> =
        columns.iter().map(|name| identifier::column(name)).collect::<Result<_, _>>().map_err(named)?;
    let into = if columns.is_empty() { table } else { format!("{table} ({})", columns.join(", ")) };
    // The line break ends a comment at the end of the query.
    let out = format!("COPY ({query}\n) TO STDOUT (FORMAT binary)");
    let into = format!("COPY {into} FROM STDIN (FORMAT binary)");

    let stake = destination.changing(context).await?;
    let span = tracing::debug_span!("copy", from = source.role(), to = destination.role());
    let copying = stream(context, source, &out, destination, &into).instrument(span);
    let copying = destination.guarded(context, stake, copying);
    if read_only(source.effect()) {
        source.reading(context, copying).await
    } else {
        source.guarded(context, AtStake::Nothing, copying).await
    }
}

async fn stream(
    context: &CallContext,
    source: &Connection,
    out: &str,
    destination: &Connection,
    into: &str,
) -> Result<u64, Error> {
    let reading = |error: tokio_postgres::Error| failed(&error, source.role());
    let writing = |error: tokio_postgres::Error| failed(&error, destination.role());
    let mut rows = pin!(source.client().copy_out(out).await.map_err(reading)?);
    let mut sink = pin!(destination.client().copy_in(into).await.map_err(writing)?);
    let mut progress = Progress::new(context);
    let mut frame = Vec::with_capacity(FRAME_BYTES);
    while let Some(row) = rows.try_next().await.map_err(reading)? {
        progress.add(row.len());
        frame.extend_from_slice(&row);
        if frame.len() >= FRAME_BYTES {
            let full = mem::replace(&mut frame, Vec::with_capacity(FRAME_BYTES));
            if sink.feed(Cursor::new(full)).await.is_err() {
                // The server refused a row; why, it says when the copy is ended.
                return sink.finish().await.map_err(writing);
            }
        }
    }
    // A refusal is said at the end here too.
    let _refused = sink.feed(Cursor::new(frame)).await;
    sink.finish().await.map_err(writing)
}

/// Counts messages, which are rows but for the trailer.
struct Progress<'a> {
    context: &'a CallContext,
    rows: u64,
    bytes: u64,
    said: Instant,
}

impl<'a> Progress<'a> {
    fn new(context: &'a CallContext) -> Self {
        Self { context, rows: 0, bytes: 0, said: Instant::now() }
    }

    fn add(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes as u64;
        // Asking the clock for every row would cost more than the row.
        if self.rows.is_multiple_of(1024) && self.said.elapsed() >= PROGRESS_INTERVAL {
            self.said = Instant::now();
            let message = format!("{} MiB copied", self.bytes >> 20);
            self.context.note(Note::Progress { done: self.rows, total: None, unit: "rows".to_owned(), message });
        }
    }
}
