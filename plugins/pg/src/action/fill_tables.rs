//! `pg/fill-tables`: the rows of a copy, into the tables of another server.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, postgres::Isolation};
use serde::Deserialize;
use serde_json::json;

use crate::{
    clean_room::definitions::TABLES,
    copy::marker,
    server::{
        Capabilities,
        databases::some,
        identifier::{TableName, quote_identifiers, quote_literal},
    },
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    instance: String,
    server: String,
}

/// A table, with its columns in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    name: TableName,
    columns: Vec<String>,
}

const SEQUENCES: &str = "
SELECT n.nspname::text AS schema, c.relname::text AS name FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind = 'S' ORDER BY 1, 2";

pub(super) fn action() -> Action {
    Action::new(
        "fill-tables",
        Effect::Mutate,
        "Copies the rows of every table that the server defines from a copy, and the positions of its sequences, in one \
         transaction. What the copy has and the server does not define is left out and named. The tables must be empty.",
    )
    .parameter("machine", "target<machine:read>", "The machine of the copy.")
    .parameter("instance", "string", "The copy, as `pg/restore` named it: with every row that was acknowledged.")
    .parameter("server", "target<postgres:write>", "The new server, with its tables defined and no foreign key or trigger yet.")
    .output("tables", "int", "How many tables were filled.")
    .output("rows", "int", "How many rows they have.")
    .output("left_out", "list<string>", "Tables and columns that the server does not define.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let marker = marker::read(caps, machine, &parameters.instance)?;
    let copy = marker.open(caps, machine, &marker::folder(caps, machine, &parameters.instance)?)?;
    let server = caps.open(&parameters.server)?;
    let (defined, found) = (tables(&server)?, tables(&copy)?);
    let left_out = compared(&defined, &found)?;
    has_no_large_objects(&copy)?;
    let filled = filled(&server, &copy, &defined)?;
    let rows = match filled {
        Some(rows) => rows,
        None => {
            server.begin(Isolation::ReadCommitted)?;
            let rows = fill(caps, (&copy, &server), &defined)?;
            set_sequences(&copy, &server)?;
            server.commit()?;
            rows
        }
    };
    let mut summary = format!("{rows} rows of {} tables are there", defined.len());
    if !left_out.is_empty() {
        summary = format!("{summary}; left out: {}", some(&left_out));
    }
    Outcome::new(json!({ "tables": defined.len(), "rows": rows, "left_out": left_out }), summary)
}

fn tables(connection: &impl Connection) -> Result<Vec<Table>, Failure> {
    let rows = connection.query(TABLES, &[])?;
    let table = |schema, name, columns| Table { name: TableName { schema, name }, columns };
    rows.iter().map(|row| Ok(table(row.get("schema")?, row.get("name")?, row.get("columns")?))).collect()
}

/// What the copy has more; fails where it lacks something.
fn compared(defined: &[Table], found: &[Table]) -> Result<Vec<String>, Failure> {
    let mut left_out = Vec::new();
    for table in defined {
        let there = found.iter().find(|there| there.name == table.name);
        let lacking = match there {
            None => vec!["the table itself".to_owned()],
            Some(there) => table.columns.iter().filter(|column| !there.columns.contains(column)).cloned().collect(),
        };
        if !lacking.is_empty() {
            let message = format!("{} is defined, and the copy lacks: {}", table.name.plain(), lacking.join(", "));
            return Err(Failure::permanent("pg-definitions-differ", message));
        }
        let more = there.into_iter().flat_map(|there| &there.columns).filter(|column| !table.columns.contains(column));
        left_out.extend(more.map(|column| format!("the column {}.{column}", table.name.plain())));
    }
    let more = found.iter().filter(|found| defined.iter().all(|table| table.name != found.name));
    left_out.extend(more.map(|table| format!("the table {}", table.name.plain())));
    Ok(left_out)
}

fn has_no_large_objects(copy: &impl Connection) -> Result<(), Failure> {
    let sql = "SELECT count(*)::bigint AS count FROM pg_catalog.pg_largeobject_metadata";
    let count: i64 = copy.query(sql, &[])?.one()?.get("count")?;
    if count == 0 {
        return Ok(());
    }
    let message =
        format!("there are {count} large objects, which are not copied: move them by hand, or keep them elsewhere");
    Err(Failure::permanent("pg-large-objects", message))
}

/// How many rows there are if an earlier attempt has filled every table; none if all are empty.
fn filled(server: &impl Connection, copy: &impl Connection, tables: &[Table]) -> Result<Option<u64>, Failure> {
    let mut all = 0;
    for table in tables {
        all += count(server, table)?;
    }
    if all == 0 {
        return Ok(None);
    }
    for table in tables {
        let (there, wanted) = (count(server, table)?, count(copy, table)?);
        if there != wanted {
            let name = table.name.plain();
            let message =
                format!("{name} has {there} rows already, and the copy has {wanted}: the tables are to be empty");
            return Err(Failure::permanent("pg-not-empty", message));
        }
    }
    Ok(Some(all))
}

fn count(connection: &impl Connection, table: &Table) -> Result<u64, Failure> {
    let sql = format!("SELECT count(*)::bigint AS count FROM ONLY {}", table.name.sql());
    connection.query(&sql, &[])?.one()?.get("count")
}

fn fill<C: Capabilities>(
    caps: &C,
    (copy, server): (&C::Connection, &C::Connection),
    tables: &[Table],
) -> Result<u64, Failure> {
    let mut rows = 0;
    for (number, table) in (0..).zip(tables) {
        caps.progress(number, u64::try_from(tables.len()).ok(), "tables", &table.name.plain());
        let query = format!("SELECT {} FROM ONLY {}", quote_identifiers(&table.columns), table.name.sql());
        rows += caps.copy_between(copy, &query, server, &table.name.sql(), &table.columns)?;
    }
    Ok(rows)
}

/// Sets each sequence that the server defines to where the copy has it.
fn set_sequences(copy: &impl Connection, server: &impl Connection) -> Result<(), Failure> {
    for row in server.query(SEQUENCES, &[])?.iter() {
        let sequence = TableName { schema: row.get("schema")?, name: row.get("name")? };
        let rows = copy.query(&format!("SELECT last_value, is_called FROM {}", sequence.sql()), &[])?;
        let (value, called): (i64, bool) = (rows.one()?.get("last_value")?, rows.one()?.get("is_called")?);
        let name = quote_literal(&sequence.sql());
        server.query(&format!("SELECT pg_catalog.setval({name}::regclass, {value}, {called}) AS value"), &[])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, columns: &[&str]) -> Table {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Table { name: TableName { schema: "public".to_owned(), name: name.to_owned() }, columns }
    }

    #[test]
    fn what_the_server_does_not_define_is_named() {
        let defined = [table("orders", &["id", "note"])];
        let check = |found: &[Table], expect: Result<Vec<&str>, &str>| {
            let compared = compared(&defined, found);
            let compared =
                compared.as_ref().map(|left| left.iter().map(String::as_str).collect()).map_err(Failure::code);
            assert_eq!(compared, expect, "{found:?}");
        };
        check(&[table("orders", &["note", "id"])], Ok(vec![]));
        let more = [table("loot", &["id"]), table("orders", &["id", "note", "x"])];
        check(&more, Ok(vec!["the column public.orders.x", "the table public.loot"]));
        check(&[table("orders", &["id"])], Err("pg-definitions-differ"));
        check(&[], Err("pg-definitions-differ"));
    }
}
