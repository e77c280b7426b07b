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
