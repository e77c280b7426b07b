//! `pg/reindex`: makes indexes again from their tables.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, postgres};
use serde::Deserialize;
use serde_json::json;

use crate::{pages, server::Capabilities};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    indexes: Vec<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "reindex",
        Effect::Mutate,
        "Makes indexes again from their tables, one after the other. Until an index is there again, nothing can use it and \
         nothing can write to its table. What was in the old index is not read, so one that is damaged in any way can be made \
         again; a unique one only if its table has no row twice.",
    )
    .parameter("server", "target<postgres:write>", "The server.")
    .parameter("indexes", "list<string>", "The indexes, with their schema, as `pg/find-corruption` names them.")
    .output("indexes", "int", "How many were made again.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let connection = caps.open(&parameters.server)?;
    // All are looked up before the first one is made again.
    let mut known = Vec::new();
    for index in &parameters.indexes {
        let missing = || Failure::permanent("pg-no-index", format!("there is no index `{index}` in this database"));
        known.push(pages::named(&connection, index, &["i", "I"])?.ok_or_else(missing)?);
    }
    let total = u64::try_from(known.len()).ok();
    for (done, index) in (0..).zip(&known) {
        caps.progress(done, total, "indexes", index);
        connection.execute(&format!("REINDEX INDEX {index}"), &[]).map_err(|error| refused(index, error))?;
    }
    let summary = match known.as_slice() {
        [] => "there was no index to make again".to_owned(),
        _ => format!("made again: {}", known.join(", ")),
    };
    Outcome::new(json!({ "indexes": known.len() }), summary)
}

/// A row that is there twice came in while the index could not find the first one.
fn refused(index: &str, error: postgres::Error) -> Failure {
    match error {
        postgres::Error::Sql(sql) if sql.state == "23505" => {
            let message = format!("{index} is unique, and its table has rows twice: {}", sql.describe());
            Failure::permanent("pg-rows-twice", message)
        }
        error => error.into(),
    }
}
