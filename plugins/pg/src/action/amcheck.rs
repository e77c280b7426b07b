//! `pg/amcheck`: compares tables and indexes of a copy, or of a running server, with each other, using the extension `amcheck`.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, Runtime, postgres::Value};
use serde::Deserialize;
use serde_json::json;

use crate::{
    copy::which::Which,
    server::{
        self, Capabilities,
        databases::{self, some, told},
        index_checks::{self, Depth, Extension},
    },
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: Option<String>,
    machine: Option<String>,
    instance: Option<String>,
    databases: Option<Vec<String>>,
}

#[derive(Debug, Default)]
struct Findings {
    indexes: u64,
    tables: u64,
    left_out: Vec<String>,
    problems: Vec<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "amcheck",
        Effect::Mutate,
        "Checks every table and every B-tree index of every database of a restored copy: the structure of both, and \
         that an index has an entry for each row. Creates the extension amcheck in the copy if it is missing, which \
         needs a promoted copy. Checks that would run functions of users, and indexes of other kinds, are left out \
         and named. With `server` it checks the login's database of a server that serves, and locks nobody out: how the \
         pages of an index hang together is checked less strictly there.",
    )
    .optional("server", "target<postgres:write>", "A server, instead of a copy.")
    .optional("machine", "target<machine:write>", "The machine of the copy.")
    .optional("instance", "string", "The copy, as `pg/restore` named it.")
    .optional("databases", "list<string>", "The databases of the copy to check (all).")
    .output("indexes", "int", "How many indexes were checked.")
    .output("tables", "int", "How many tables were checked; a TOAST table counts as one of its own.")
    .output("left_out", "list<string>", "What was not checked, or only in part, and why.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let Parameters { server, machine, instance, databases } = parameters;
    let serves = server.is_some();
    let connection = Which { server, machine, instance }.open(caps)?;
    let mut findings = Findings::default();
    if serves {
        let database = server::login(&connection, &[])?.database;
        check_database(caps, &connection, &database, serves, &mut findings)?;
    } else {
        let found = databases::list(&connection, databases.as_deref())?;
        findings.left_out = found.closed;
        for database in &found.open {
            match told(connection.beside(database).map_err(Failure::from))? {
                Ok(there) => check_database(caps, &there, database, serves, &mut findings)?,
                Err(why) => findings.problems.push(format!("the database {database} cannot be opened: {why}")),
            }
        }
    }
    let Findings { indexes, tables, left_out, problems } = findings;
    if !problems.is_empty() {
        let message =
            format!("{} problems in {tables} tables and {indexes} indexes: {}", problems.len(), some(&problems));
        return Err(Failure::permanent("pg-amcheck-failed", message));
    }
    if tables == 0 || indexes == 0 {
        return Err(Failure::permanent(
            "pg-nothing-to-read",
            "there is no table or no index to check: nothing was verified",
        ));
    }
    let mut summary = format!("{tables} tables and {indexes} indexes are sound");
    if !left_out.is_empty() {
        summary = format!("{summary}; left out: {}", some(&left_out));
    }
    Outcome::new(json!({ "indexes": indexes, "tables": tables, "left_out": left_out }), summary)
}

fn check_database(
    caps: &impl Runtime,
    connection: &impl Connection,
    database: &str,
    serves: bool,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let extension = index_checks::prepare(connection, database)?;
    // The stricter check locks writers out.
    let strictly = !extension.in_recovery && !serves;
    let tables = index_checks::tables(connection)?;
    let indexes = index_checks::indexes(connection)?;
    let total = u64::try_from(tables.checked.len() + indexes.len()).ok();
    let mut done = 0;
    let mut step = |name: &str| {
        caps.progress(done, total, "relations", &format!("{database}: {name}"));
        done += 1;
    };
    findings.left_out.extend(tables.left_out.iter().map(|what| format!("{database}: {what}")));
    for table in &tables.checked {
        step(&table.name);
        findings.tables += 1;
        match told(check_table(connection, &extension, table.oid))? {
            Ok(None) => {}
            Ok(Some(why)) | Err(why) => findings.problems.push(format!("{database}: {}: {why}", table.name)),
        }
    }
    for index in &indexes {
        step(&index.name);
        if let Some(why) = &index.left_out {
            findings.left_out.push(format!("{database}: {} {why}", index.name));
        }
        if index.depth == Depth::None {
            continue;
        }
        findings.indexes += 1;
        if let Err(why) = told(index_checks::check(connection, &extension, index, strictly))? {
            findings.problems.push(format!("{database}: {}: {why}", index.name));
        }
    }
    Ok(())
}

/// The first few things that are wrong with a table.
fn check_table(connection: &impl Connection, extension: &Extension, oid: i64) -> Result<Option<String>, Failure> {
    let sql = format!(
        "SELECT coalesce('block ' || blkno || ', ', '') || coalesce('row ' || offnum || ', ', '') || msg AS problem
           FROM {}.verify_heapam(relation => $1::bigint::oid::regclass, check_toast => true) LIMIT 3",
        extension.schema_sql()
    );
    let rows = connection.query(&sql, &[Value::from(oid)])?;
    let problems: Vec<String> = rows.iter().map(|row| row.get("problem")).collect::<Result<_, Failure>>()?;
    Ok((!problems.is_empty()).then(|| problems.join(", ")))
}
