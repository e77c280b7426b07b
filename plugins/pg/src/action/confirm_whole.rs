//! `pg/confirm-whole`: whether a copy from before the first transaction can have every removed row as it was. It reads only the set:
//! `pg/compare` and the merge look at what a copy really has.
//!
//! A step of its own, so that a run in which something is lost for good does not end as a plain success, whatever else went well.

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde_json::json;

use crate::{damage::told, rows::source::WrittenSet, server::Capabilities};

pub(super) fn action() -> Action {
    let action = Action::new(
        "confirm-whole",
        Effect::Read,
        "Fails if something that the transactions of an exact set removed cannot come back as it was: rows that no \
         copy has, because others inserted them after the first of the transactions, and rows that others changed \
         after it. With `on_failure: continue` the run goes on and ends with exceptions.",
    );
    WrittenSet::declare(action, "Where the exact set lies.")
        .output(
            "rows",
            "int",
            "Rows of the set; none of them was inserted or changed by others after the first of the transactions.",
        )
        .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let set = call.parameters::<WrittenSet>()?.read(caps)?;
    let lost = told::lost(&told::plain(&set.unplaced), &told::plain(&set.outdated));
    if !lost.is_empty() {
        return Err(Failure::permanent("pg-rows-lost", lost.join(" ")));
    }
    let rows = set.rows();
    Outcome::new(
        json!({ "rows": rows }),
        format!("nobody else inserted or changed any of the {rows} removed rows in between"),
    )
}
