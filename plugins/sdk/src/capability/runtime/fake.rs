//! A clock that moves only when the plugin sleeps, and everything that the plugin said.

use std::cell::{Cell, RefCell};

use super::Level;
use crate::fake::Grant;

/// The call's surroundings.
#[derive(Debug)]
pub struct Runtime {
    now_ms: Cell<u64>,
    ends_ms: Cell<Option<u64>>,
    lines: RefCell<Vec<Line>>,
    grant: Grant,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// How important.
    pub level: Level,
    /// The line.
    pub message: String,
    /// Details.
    pub fields: Vec<(String, String)>,
}

impl Default for Runtime {
    /// The clock shows 2026-11-21T03:00:00Z.
    fn default() -> Self {
        Self {
            now_ms: Cell::new(1_795_230_000_000),
            ends_ms: Cell::new(None),
            lines: RefCell::default(),
            grant: Grant::default(),
        }
    }
}

impl Runtime {
    /// Cancels the call `ms` after now.
    pub fn cancel_after_ms(&self, ms: u64) {
        self.ends_ms.set(Some(self.now_ms.get() + ms));
    }

    /// Everything logged so far.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.borrow().clone()
    }

    /// What the plugin may do here; everything is a read, so nothing is refused.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

impl super::Runtime for Runtime {
    fn log(&self, level: Level, message: &str, fields: &[(String, String)]) {
        self.lines.borrow_mut().push(Line { level, message: message.to_owned(), fields: fields.to_vec() });
    }

    fn progress(&self, _done: u64, _total: Option<u64>, _unit: &str, _message: &str) {}

    fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    fn sleep_ms(&self, ms: u64) -> bool {
        let until = self.now_ms.get().saturating_add(ms);
        let end = self.ends_ms.get().unwrap_or(u64::MAX);
        self.now_ms.set(until.min(end.max(self.now_ms.get())));
        until < end
    }

    fn cancelled(&self) -> bool {
        self.ends_ms.get().is_some_and(|end| self.now_ms.get() >= end)
    }
}
