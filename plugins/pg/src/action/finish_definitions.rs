//! `pg/finish-definitions`: indexes, constraints and triggers, after the rows are there.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, postgres::Isolation};
use serde::Deserialize;
use serde_json::json;

use crate::{clean_room::definitions, server::Capabilities};

/// Nothing that is made before the rows has one of these.
const FINISHED: &str = "
SELECT count(*)::bigint AS count FROM pg_catalog.pg_constraint AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.connamespace
 WHERE c.contype IN ('p', 'u', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    after_file: String,
    server: String,
}

pub(super) fn action() -> Action {
    Action::new(
        "finish-definitions",
        Effect::Mutate,
        "Makes the indexes, constraints and triggers that `pg/take-definitions` kept for later, in one transaction. Every \
         row is held against every constraint by it.",
    )
    .parameter("machine", "target<machine:write>", "Where the file is.")
    .parameter("after_file", "string", "The file, as `pg/take-definitions` named it.")
    .parameter("server", "target<postgres:write>", "The new server.")
    .output("constraints", "int", "How many keys and references there are.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let Parameters { machine, after_file, server } = call.parameters()?;
    let content = caps.read_file(&machine, &after_file)?;
    let after = definitions::plain(&String::from_utf8_lossy(&content));
    let connection = caps.open(&server)?;
    let count = || -> Result<i64, Failure> { connection.query(FINISHED, &[])?.one()?.get("count") };
    if count()? == 0 {
        connection.begin(Isolation::ReadCommitted)?;
        connection.execute(&definitions::as_one_statement(&after), &[])?;
        connection.commit()?;
    }
    let constraints = count()?;
    Outcome::new(json!({ "constraints": constraints }), format!("{constraints} keys and references hold"))
}
