//! The `runtime` capability: log, progress, time, waiting, cancellation. What a guest says is kept within bounds, so that a
//! chatty plugin floods neither the log nor the terminal.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use lifeboat_core::text;
use lifeboat_runtime::invoke::{Level, Note};
use tokio::time::Instant;

use super::lifetimes;
use crate::{call::CallState, wit::lifeboat::runtime::runtime as wit};

/// At most 20 progress notes a second are kept.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);
/// Log lines of one call; one more says that the rest is left out.
const LOG_LINES_MAX: u32 = 10_000;
const TEXT_BYTES_MAX: usize = 4096;
const FIELDS_MAX: usize = 32;

/// The capability keeps nothing for a run.
pub(crate) type Session = ();

/// What the capability keeps for a call.
#[derive(Default)]
pub(crate) struct Own(Mutex<Throttle>);

impl lifetimes::Own for Own {}

impl Own {
    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call has said so far.
#[derive(Default)]
struct Throttle {
    progress: Option<Instant>,
    lines: u32,
}

impl Throttle {
    fn one_more(&mut self) -> u32 {
        self.lines = self.lines.saturating_add(1);
        self.lines
    }

    fn admits_progress(&mut self, now: Instant, last: bool) -> bool {
        let due = self.progress.is_none_or(|before| now.duration_since(before) >= PROGRESS_INTERVAL);
        if due || last {
            self.progress = Some(now);
        }
        due || last
    }
}

fn short(text: &str) -> String {
    text::one_line(text, TEXT_BYTES_MAX)
}

impl wit::Host for CallState {
    async fn log(&mut self, level: wit::Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        let lines = self.context.own.runtime.throttle().one_more();
        let note = match lines {
            lines if lines <= LOG_LINES_MAX => Note::Log {
                level: match level {
                    wit::Level::Debug => Level::Debug,
                    wit::Level::Info => Level::Info,
                    wit::Level::Warn => Level::Warn,
                    wit::Level::Error => Level::Error,
                },
                message: text::plain(&message, TEXT_BYTES_MAX),
                fields: fields.iter().take(FIELDS_MAX).map(|(name, value)| (short(name), short(value))).collect(),
            },
            lines if lines == LOG_LINES_MAX + 1 => Note::Log {
                level: Level::Warn,
                message: format!("the plugin logged more than {LOG_LINES_MAX} lines; the rest is dropped"),
                fields: Vec::new(),
            },
            _ => return Ok(()),
        };
        self.context.note(note);
        Ok(())
    }

    async fn progress(&mut self, done: u64, total: Option<u64>, unit: String, message: String) -> wasmtime::Result<()> {
        if self.context.own.runtime.throttle().admits_progress(Instant::now(), total == Some(done)) {
            self.context.note(Note::Progress { done, total, unit: short(&unit), message: short(&message) });
        }
        Ok(())
    }

    async fn now_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0))
    }

    async fn sleep_ms(&mut self, ms: u64) -> wasmtime::Result<bool> {
        Ok(self.context.bounded(tokio::time::sleep(Duration::from_millis(ms))).await.is_ok())
    }

    async fn cancelled(&mut self) -> wasmtime::Result<bool> {
        Ok(self.context.cut_off().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_thinned_out_and_its_end_is_kept() {
        let mut throttle = Throttle::default();
        let start = Instant::now();
        let kept = (0..1000).filter(|ms| throttle.admits_progress(start + Duration::from_millis(*ms), false)).count();
        assert_eq!(kept, 20);
        assert!(throttle.admits_progress(start + Duration::from_millis(999), true));
    }
}
