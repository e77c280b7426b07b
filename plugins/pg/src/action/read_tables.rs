//! `pg/read-tables`: reads every value of every table of every database of a copy, or of the login's database of a server.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, Runtime, postgres::Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    call::parameters,
    copy::which::Which,
    server::{
        self, Capabilities,
        databases::{self, some, told},
        identifier::TableName,
    },
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    must_have_rows: Vec<String>,
    databases: Option<Vec<String>>,
}

/// What was read in one database.
#[derive(Debug, Default, Serialize)]
struct Read {
    name: String,
    tables: u64,
    rows: u64,
}

/// What was found in all.
#[derive(Debug, Default)]
struct Findings {
    read: Vec<Read>,
    left_out: Vec<String>,
    problems: Vec<String>,
}

pub(super) fn action() -> Action {
    Which::declare(Action::new(
        "read-tables",
        Effect::Read,
        "Reads every value of every table of every database of a restored copy, including large objects and \
         materialized views. Views and foreign tables hold no data of the copy, and unlogged tables are empty after \
         a restore: they are left out and named. With `server` it reads the login's database of a server that serves.",
    ))
    .optional(
        "must_have_rows",
        "list<string>",
        "Tables of the login's database, with their schema, that must have rows.",
    )
    .optional("databases", "list<string>", "The databases to read (all).")
    .output("databases", "list<record{name: string, tables: int, rows: int}>", "What was read in each database.")
    .output("tables", "int", "How many tables were read.")
    .output("rows", "int", "How many rows they have.")
    .output("left_out", "list<string>", "What was not read, and why.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let (which, parameters): (Which, Parameters) = parameters::split(call, &Which::NAMES)?;
    let connection = which.open(caps)?;
    let mut findings = Findings::default();
    if which.server.is_some() {
        let database = server::login(&connection, &[])?.database;
        read_database(caps, &connection, &database, &mut findings)?;
    } else {
        let found = databases::list(&connection, parameters.databases.as_deref())?;
        findings.left_out = found.closed;
        for database in &found.open {
            match told(connection.beside(database).map_err(Failure::from))? {
                Ok(there) => read_database(caps, &there, database, &mut findings)?,
                Err(why) => findings.problems.push(format!("the database {database} cannot be opened: {why}")),
            }
        }
    }
    for table in &parameters.must_have_rows {
        findings
            .problems
            .extend(told(has_rows(&connection, table))?.unwrap_or_else(|why| Some(format!("{table}: {why}"))));
    }
    conclude(findings)
}

fn conclude(findings: Findings) -> Result<Outcome, Failure> {
    let Findings { read, left_out, problems } = findings;
    let (tables, rows) = (sum(&read, |read| read.tables), sum(&read, |read| read.rows));
    if !problems.is_empty() {
        let message =
            format!("{} problems beside {tables} tables that could be read: {}", problems.len(), some(&problems));
        return Err(Failure::permanent("pg-read-failed", message));
    }
    if tables == 0 {
        let message = "there is no table to read: nothing was verified";
        return Err(Failure::permanent("pg-nothing-to-read", message));
    }
    let mut summary = format!("every value of {rows} rows in {tables} tables of {} databases was read", read.len());
    if !left_out.is_empty() {
        summary = format!("{summary}; left out: {}", some(&left_out));
    }
    Outcome::new(json!({ "databases": read, "tables": tables, "rows": rows, "left_out": left_out }), summary)
}

fn sum(read: &[Read], of: impl Fn(&Read) -> u64) -> u64 {
    read.iter().map(of).sum()
}

fn read_database(
    caps: &impl Runtime,
    connection: &impl Connection,
    database: &str,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let rows = connection.query(
        "SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind = 'S' AS is_sequence,
                CASE WHEN c.relkind = 'f' THEN 'is a foreign table'
                     WHEN c.relpersistence = 'u' THEN 'is unlogged'
                     WHEN NOT c.relispopulated THEN 'was never filled' END AS left_out
           FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
          WHERE c.relkind IN ('r', 'm', 'S', 'f') AND c.relpersistence <> 't'
            AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
          ORDER BY 1, 2",
        &[],
    )?;
    let mut read = Read { name: database.to_owned(), ..Read::default() };
    let total = u64::try_from(rows.len()).ok();
    for (number, row) in (0..).zip(rows.iter()) {
        let table = TableName { schema: row.get("schema")?, name: row.get("name")? };
        caps.progress(number, total, "tables", &format!("{database}: {}", table.plain()));
        if let Some(why) = row.get::<Option<String>>("left_out")? {
            findings.left_out.push(format!("{database}: {} {why}", table.plain()));
            continue;
        }
        let is_sequence: bool = row.get("is_sequence")?;
        match told(count(connection, &every_value(&table, is_sequence)))? {
            Ok(_) if is_sequence => {}
            Ok(rows) => (read.tables, read.rows) = (read.tables + 1, read.rows + rows),
            Err(why) => findings.problems.push(format!("{database}: {}: {why}", table.plain())),
        }
    }
    large_objects(connection, database, findings)?;
    findings.read.push(read);
    Ok(())
}

/// Counts rows and reads each value of them. The text of a whole row takes all of its values, also those that are kept apart; a
/// sequence has no type of its own for that. `ONLY`: each child is read by itself.
fn every_value(table: &TableName, is_sequence: bool) -> String {
    let name = table.sql();
    if is_sequence {
        format!("SELECT count(last_value::text || log_cnt::text || is_called::text)::bigint AS rows FROM {name}")
    } else {
        format!("SELECT count((lifeboat_row.*)::text)::bigint AS rows FROM ONLY {name} AS lifeboat_row")
    }
}

/// Large objects are kept in one table, which only a superuser reads.
fn large_objects(connection: &impl Connection, database: &str, findings: &mut Findings) -> Result<(), Failure> {
    const MAY: &str = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'SELECT') AS may,
        EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata) AS any";
    let rows = connection.query(MAY, &[])?;
    let row = rows.one()?;
    match (row.get("any")?, row.get("may")?) {
        (false, _) => Ok(()),
        (true, false) => {
            findings.left_out.push(format!("{database}: large objects, which the login may not read"));
            Ok(())
        }
        (true, true) => {
            const READ: &str =
                "SELECT count((lifeboat_row.*)::text)::bigint AS rows FROM pg_catalog.pg_largeobject AS lifeboat_row";
            if let Err(why) = told(count(connection, READ))? {
                findings.problems.push(format!("{database}: large objects: {why}"));
            }
            Ok(())
        }
    }
}

fn count(connection: &impl Connection, sql: &str) -> Result<u64, Failure> {
    let rows = connection.query(sql, &[])?;
    let count: i64 = rows.one()?.get("rows")?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// What is wrong with a table that must have rows.
fn has_rows(connection: &impl Connection, table: &str) -> Result<Option<String>, Failure> {
    let found = connection.query(
        "SELECT c.oid::regclass::text AS name FROM pg_catalog.pg_class AS c
          WHERE c.oid = pg_catalog.to_regclass($1::text) AND c.relkind IN ('r', 'p', 'm')",
        &[Value::from(table)],
    )?;
    let Some(row) = found.first() else { return Ok(Some(format!("there is no table {table}"))) };
    let name: String = row.get("name")?;
    let rows = connection.query(&format!("SELECT EXISTS (SELECT FROM {name}) AS any"), &[])?;
    Ok((!rows.one()?.get::<bool>("any")?).then(|| format!("{table} has no rows")))
}
