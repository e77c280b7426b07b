//! `pg/confirm-whole`: whether the copy has everything that was removed, as it was.
//!
//! A step of its own, so that a run in which something is lost for good does not end as a plain success, whatever else went well.

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde_json::json;

use crate::{server::Capabilities, source::Written, told};

pub(super) fn action() -> Action {
    let action = Action::new(
        "confirm-whole",
        Effect::Read,
        "Fails where something that the transactions of an exact set removed cannot come back as it was: rows that are in no copy, \
         because others had inserted them after the first of the transactions, and rows that others had changed after it. Give it \
         `on_failure: continue`, and the run ends with exceptions.",
    );
    Written::declare(action, "Where the exact set lies.")
        .output("rows", "int", "Rows of the set, all of which the copy has as they were.")
        .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let set = call.parameters::<Written>()?.read(caps)?;
    let lost = told::lost(&told::plain(&set.unplaced), &told::plain(&set.outdated));
    if !lost.is_empty() {
        return Err(Failure::permanent("pg-rows-lost", lost.join(" ")));
    }
    let rows = set.rows();
    Outcome::new(json!({ "rows": rows }), format!("the copy has all {rows} removed rows as they were"))
}
