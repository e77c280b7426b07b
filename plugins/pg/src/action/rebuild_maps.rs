//! `pg/rebuild-maps`: makes the visibility maps of tables again from the tables.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, postgres::Value};
use serde::Deserialize;
use serde_json::json;

use crate::{
    pages,
    server::{Capabilities, databases::told, identifier::quote_identifier},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    tables: Vec<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "rebuild-maps",
        Effect::Mutate,
        "Throws the visibility maps of tables away and makes them again by VACUUM, which reads all of each table. Everybody can read \
         and write meanwhile. Uses the extension pg_visibility, which is made if it is missing and there is a map to make.",
    )
    .parameter("server", "target<postgres:write>", "The server.")
    .parameter("tables", "list<string>", "The tables, with their schema, as `pg/find-corruption` names them in `maps`.")
    .output("maps", "int", "How many were made again.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    if parameters.tables.is_empty() {
        return Outcome::new(json!({ "maps": 0 }), "there was no map to make again");
    }
    let connection = caps.open(&parameters.server)?;
    let mut known = Vec::new();
    for table in &parameters.tables {
        let missing = || Failure::permanent("pg-no-table", format!("there is no table `{table}` in this database"));
        known.push(pages::named(&connection, table, &["r", "m", "t"])?.ok_or_else(missing)?);
    }
    let schema = extension(&connection)?;
    let total = u64::try_from(known.len()).ok();
    let truncate =
        format!("SELECT {}.pg_truncate_visibility_map($1::text::regclass)::text AS done", quote_identifier(&schema));
    for (done, table) in (0..).zip(&known) {
        caps.progress(done, total, "tables", table);
        connection.query(&truncate, &[Value::from(table.as_str())])?;
        connection.execute(&format!("VACUUM {table}"), &[])?;
    }
    Outcome::new(json!({ "maps": known.len() }), format!("made again: the visibility maps of {}", known.join(", ")))
}

/// The schema of pg_visibility.
fn extension(connection: &impl Connection) -> Result<String, Failure> {
    let made = connection.execute("CREATE EXTENSION IF NOT EXISTS pg_visibility WITH SCHEMA pg_catalog", &[]);
    if let Err(why) = told(made.map_err(Failure::from))? {
        let message = format!("the extension pg_visibility cannot be made: {why}");
        return Err(Failure::permanent("pg-visibility-missing", message));
    }
    let rows = connection.query(
        "SELECT n.nspname::text AS schema FROM pg_catalog.pg_extension AS e
           JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_visibility'",
        &[],
    )?;
    rows.one()?.get("schema")
}
