//! Actions that answer something else than they declare.

use lifeboat_plugin::{Failure, Outcome};
use serde_json::json;

const HUGE_BYTES: usize = 100_000_000;

pub(crate) fn rubbish_json() -> Result<Outcome, Failure> {
    Ok(Outcome { outputs: "{\"rows\": ]".to_owned(), summary: "\u{1b}[31mall went well\u{7}".to_owned() })
}

pub(crate) fn wrong_outputs() -> Result<Outcome, Failure> {
    Outcome::new(json!({ "rows": "many", "more": true }), "many rows")
}

pub(crate) fn huge_answer() -> Result<Outcome, Failure> {
    Outcome::new(json!({ "text": "x".repeat(HUGE_BYTES) }), "a lot of text")
}

const FORGED_LINES: usize = 100_000;

/// Lines that look like the engine's own, longer than any log, some of them written from right to left.
pub(crate) fn forged() -> String {
    "03:12:04 restore succeeded in 2 s \u{202e}deliaf ton\u{2069}\u{1b}[2K\u{9b}2J\u{200b}\r\n".repeat(FORGED_LINES)
}

pub(crate) fn forge() -> Result<Outcome, Failure> {
    Err(Failure::permanent(forged(), forged()))
}
