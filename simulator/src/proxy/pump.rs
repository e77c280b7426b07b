//! Carries bytes one way. A reader stamps what it reads with the time of its delivery; a writer delivers in order.
//!
//! Between the two is a bounded queue, so that a delay does not lower the throughput and a black hole accepts only a limited
//! amount before TCP's own flow control stops the sender, as a real one would.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    rule::{Direction, Verdict, judge},
    setting::{Setting, changed},
};

/// Bytes read at once; with the queue's length, at most 4 MiB are held: about the size to which TCP's window grows on a long path,
/// which limits the throughput in the same way.
const CHUNK_BYTES: usize = 16 * 1024;
const QUEUE_CHUNKS: usize = 256;
/// How often per second a throttled writer writes, so that the flow is even.
const THROTTLE_SLICES_PER_S: u64 = 20;
/// A piece arrives after this many losses at the latest.
const LOSSES_MAX: u32 = 6;

/// One direction of one connection.
pub(super) struct Lane<'a> {
    pub(super) number: u64,
    pub(super) direction: Direction,
    pub(super) setting: watch::Receiver<Setting>,
    pub(super) bytes: &'a AtomicU64,
}

impl Lane<'_> {
    fn verdict(&mut self) -> Verdict {
        judge(&self.setting.borrow_and_update().rules, self.number, self.direction)
    }
}

struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
}

/// Carries bytes until the source ends, and passes the end on.
pub(super) async fn pump(from: &TcpStream, to: &TcpStream, lane: Lane<'_>) -> io::Result<()> {
    let (queue, queued) = mpsc::channel(QUEUE_CHUNKS);
    let reading = Lane { setting: lane.setting.clone(), ..lane };
    tokio::try_join!(read(from, reading, queue), write(to, lane, queued))?;
    Ok(())
}

async fn read(from: &TcpStream, mut lane: Lane<'_>, queue: mpsc::Sender<Chunk>) -> io::Result<()> {
    // The same connection loses the same pieces again.
    let mut chance = ChaCha8Rng::seed_from_u64(lane.number);
    loop {
        from.readable().await?;
        let mut bytes = Vec::with_capacity(CHUNK_BYTES);
        match from.try_read_buf(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        let delay = match lane.verdict() {
            Verdict::Delay(delay) => delay,
            Verdict::Lose { percent, retransmit_after } => retransmit_after * losses(&mut chance, percent),
            _ => Duration::ZERO,
        };
        if queue.send(Chunk { due: Instant::now() + delay, bytes }).await.is_err() {
            return Ok(());
        }
    }
}

/// How often a piece is lost before it arrives. A piece that is lost for ever would be a cut connection.
fn losses(chance: &mut ChaCha8Rng, percent: u8) -> u32 {
    let lost = |_: &u32| chance.random_range(0..100) < percent;
    u32::try_from((0..LOSSES_MAX).take_while(lost).count()).unwrap_or(LOSSES_MAX)
}

async fn write(to: &TcpStream, mut lane: Lane<'_>, mut queued: mpsc::Receiver<Chunk>) -> io::Result<()> {
    let mut pace = Instant::now();
    while let Some(chunk) = queued.recv().await {
        tokio::time::sleep_until(chunk.due).await;
        let mut rest = chunk.bytes.as_slice();
        while !rest.is_empty() {
            let slice = admit(&mut lane, &mut pace, rest).await;
            write_all(to, slice).await?;
            lane.bytes.fetch_add(slice.len() as u64, Ordering::Relaxed);
            rest = &rest[slice.len()..];
        }
    }
    // A black hole swallows the end of a connection too.
    admit(&mut lane, &mut pace, &[]).await;
    socket2::SockRef::from(to).shutdown(std::net::Shutdown::Write).or_else(not_connected)
}

/// Waits until some of the bytes may go, and says which.
async fn admit<'b>(lane: &mut Lane<'_>, pace: &mut Instant, rest: &'b [u8]) -> &'b [u8] {
    loop {
        match lane.verdict() {
            Verdict::Throttle { bytes_per_s } => {
                let slice = (bytes_per_s / THROTTLE_SLICES_PER_S).clamp(1, CHUNK_BYTES as u64);
                let slice = rest.len().min(usize::try_from(slice).unwrap_or(CHUNK_BYTES));
                let cost = Duration::from_secs_f64(slice as f64 / bytes_per_s.max(1) as f64);
                let start = (*pace).max(Instant::now());
                tokio::select! {
                    () = tokio::time::sleep_until(start) => {}
                    () = changed(&mut lane.setting) => continue,
                }
                *pace = start + cost;
                return &rest[..slice];
            }
            Verdict::BlackHole | Verdict::Vanish => changed(&mut lane.setting).await,
            Verdict::Pass | Verdict::Delay(_) | Verdict::Lose { .. } | Verdict::Cut | Verdict::Reset => return rest,
        }
    }
}

async fn write_all(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The other side may be gone already; then there is nothing to pass on.
fn not_connected(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotConnected { Ok(()) } else { Err(error) }
}
