//! `pg/take-definitions`: roles and everything that is defined, from a copy into an empty server.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, postgres::Isolation};
use serde::Deserialize;
use serde_json::json;

use crate::{
    clean_room::{
        definitions::{self, DumpSource, TABLES},
        role_statements,
    },
    copy::run_files,
    server::{Capabilities, databases::some},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    instance: String,
    server: String,
}

pub(super) fn action() -> Action {
    Action::new(
        "take-definitions",
        Effect::Mutate,
        "Makes the roles of a copy (without passwords, so that nobody can log in yet), what is set for them, and what its \
         database defines before rows are there, in the empty database of another server: by SQL from pg_dump, so that \
         nothing else of the copy's files comes along. Indexes, foreign keys and triggers are kept in a file for \
         `pg/finish-definitions`. All of it is one transaction. pg_dump logs in to the copy by its socket, for which the \
         copy trusts it for a moment.",
    )
    .parameter("machine", "target<machine:write>", "The machine of the copy; its programs include pg_dump.")
    .parameter("instance", "string", "The copy, as `pg/restore` named it: of a moment at which code and rights were clean.")
    .parameter("server", "target<postgres:write>", "The new server; the login's database must have no table.")
    .output("after_file", "string", "What is to be made after the rows are there.")
    .output("roles", "list<string>", "The roles that were made.")
    .output("tables", "int", "How many tables there are.")
    .output("left_out", "list<string>", "What was not taken, and is left to people.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let path = |end: &str| run_files::path(call, caps, machine, "definitions", end);
    let (before_file, after_file) = (path("-before.sql")?, path("-after.sql")?);
    let source = DumpSource::find(caps, machine, &parameters.instance)?;
    let copy = source.open()?;
    let server = caps.open(&parameters.server)?;
    let (wanted, there) = (tables(&copy)?, tables(&server)?);
    if !there.is_empty() && there != wanted {
        let message =
            format!("the database is not empty, so what is in it would stay beside what is clean: {}", some(&there));
        return Err(Failure::permanent("pg-not-empty", message));
    }
    let (before, _) = source.dump(&before_file, &after_file)?;
    let roles = role_statements::missing(&copy, &server)?;
    // An earlier attempt may have ended after its commit.
    if there.is_empty() {
        server.begin(Isolation::ReadCommitted)?;
        for statement in &roles.statements {
            server.execute(statement, &[])?;
        }
        server.execute(&definitions::as_one_statement(&before), &[])?;
        server.commit()?;
    }
    for left in &roles.left_out {
        caps.warn(&format!("not taken: {left}"));
    }
    let summary = format!("{} roles and {} tables are defined", roles.made.len(), wanted.len());
    let outputs = json!({
        "after_file": after_file,
        "roles": roles.made,
        "tables": wanted.len(),
        "left_out": roles.left_out,
    });
    Outcome::new(outputs, summary)
}

/// The tables of the database, by name.
fn tables(connection: &impl Connection) -> Result<Vec<String>, Failure> {
    let rows = connection.query(TABLES, &[])?;
    let name = |schema: String, name: String| format!("{schema}.{name}");
    rows.iter().map(|row| Ok(name(row.get("schema")?, row.get("name")?))).collect()
}
