//! JSON schemas of the files that people write, for their editors: printed from the same tables that the files are checked
//! against.

use serde_json::Value;

use crate::{bindings::BINDINGS, grammar, runbook::RUNBOOK};

/// The schema of a runbook.
pub fn runbook() -> Value {
    grammar::schema(&RUNBOOK, "urn:lifeboat:schema:runbook:1", "Lifeboat runbook")
}

/// The schema of a bindings file.
pub fn bindings() -> Value {
    grammar::schema(&BINDINGS, "urn:lifeboat:schema:bindings:1", "Lifeboat bindings")
}
